"""The template as CloudFormation gets it, and a copy that a test can change."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.template.repository import MACHINES, ROOT, Translated, definition, with_own_data

SAM_PYTHON = ROOT / ".venv-sam" / "bin" / "python"


@pytest.fixture(scope="session")
def check_template() -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Return a function that runs tools/check_template.py with the Python of aws-sam-cli."""
    if not SAM_PYTHON.exists():
        pytest.fail("these tests need .venv-sam: run them by `make test`", pytrace=False)

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(SAM_PYTHON), str(ROOT / "tools" / "check_template.py"), *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def translated(check_template: Callable[..., "subprocess.CompletedProcess[str]"]) -> Translated:
    """Return template.yaml after SAM's translation, for a stack that creates its own data.

    The state machines are inline.
    """
    done = check_template("--translated")
    assert done.returncode == 0, done.stderr
    return Translated(with_own_data(json.loads(done.stdout)))


@pytest.fixture(params=MACHINES)
def states(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return the states of each state machine that executes runs."""
    found: dict[str, Any] = definition(request.param)["States"]
    return found


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Copy the template and every file that it refers to; return the folder of the copy."""
    shutil.copy(ROOT / "template.yaml", tmp_path)
    for folder in ("statemachines", "functions", "layers", "agents"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path
