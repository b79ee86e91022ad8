"""The README's session and its agent work as written."""

import re
import subprocess
from pathlib import Path

import pytest

from runyard_service.agents.definitions.loader import read_agents
from runyard_service.agents.definitions.source import AgentDirectory
from tests.support.service import Service

README = Path("README.md").read_text(encoding="utf-8")


def code_blocks(section: str, language: str) -> list[str]:
    """Return the code blocks of a section of the README."""
    text = README.partition(f"## {section}\n")[2].partition("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.mark.usefixtures("samples")
def test_the_first_run_of_the_readme(service: Service, tmp_path: Path) -> None:
    script = "\n".join(code_blocks("First run", "sh"))
    script = script.replace("http://127.0.0.1:8080", service.base_url)
    script = script.replace("$(cat .runyard/access-key)", service.access_key)

    done = subprocess.run(
        ["bash", "-euc", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert '"status": "awaiting_input"' in done.stdout
    assert '{"message":"ok"}' in done.stdout
    # The stream starts after event 30, with the event that records the answer.
    ids = re.findall(r"^id: (\d+)\nevent: (.*)$", done.stdout, re.MULTILINE)
    assert ids[0] == ("31", "approval_request.resolved")
    assert ids[-1][1] == "run.completed"
    assert '"effective_params":{"order_id":"4812","amount":45}' in done.stdout


def test_the_agent_of_the_readme_is_valid() -> None:
    [agent] = code_blocks("Your own agent", "yaml")
    texts = {**AgentDirectory(Path("agents")).read(), "greeter.yaml": agent}
    assert "greeter" in read_agents(texts).definitions
