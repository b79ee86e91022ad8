"""Agents of frameworks are durable: their tests run in the environment of the frameworks."""

import pytest

from tests.support.framework_agents import TESTS, missing_frameworks, run_python

needs_frameworks = pytest.mark.skipif(bool(missing_frameworks()), reason=missing_frameworks())


@needs_frameworks
@pytest.mark.parametrize("framework", ["langgraph", "openai_agents", "pydantic_ai", "strands"])
def test_a_framework_passes_its_cases(framework: str) -> None:
    cases = TESTS / f"cases_{framework}.py"
    result = run_python("-m", "pytest", "-q", "-c", str(TESTS / "pytest.ini"), str(cases))
    assert result.returncode == 0, result.stdout + result.stderr
    assert "never retrieved" not in result.stderr, result.stderr
