"""The shell sessions and the agent of the README and the tutorials work as written."""

import json
import os
import re
import shlex
import shutil
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from runyard_service.agents.definitions.loader import read_agents
from runyard_service.agents.definitions.source import AgentDirectory
from tests.support.command_line import service_variables
from tests.support.service import Service
from tests.support.shell_sessions import code_blocks, run_python, run_session
from tests.support.terminal import Terminal, open_command

README = Path("README.md")
TUTORIAL = Path("docs/tutorial/first-run.md")
CONVERSATION = Path("docs/tutorial/conversation.md")
RECIPES = Path("docs/how-to/recipes.md")
PYTHON_CLIENT = Path("docs/how-to/python-client.md")
MAX_LINES = 12


def _in_terminal(block: str, service: Service) -> AbstractContextManager[Terminal]:
    """Run the shell block in a terminal, against the service."""
    script = block.replace(".venv/bin/runyard", f"exec {shlex.quote(sys.executable)} -m runyard")
    mine = {name: text for name, text in os.environ.items() if name not in ("CI", "NO_COLOR")}
    environment = {**mine, **service_variables(service), "TERM": "dumb"}
    return open_command(["bash", "-euc", script], environment)


@pytest.mark.usefixtures("samples")
def test_the_first_run_of_the_readme(service: Service) -> None:
    run, _ = code_blocks(README, "First run", "sh")
    assert len(run.splitlines()) <= 6
    with _in_terminal(run, service) as terminal:
        terminal.expect("eave > ")
        terminal.type("e amount=45")
        assert terminal.wait() == 0
    [screen] = code_blocks(README, "First run", "text")
    # Ids, durations and long results differ.
    steady = ("order_id", "amount  49", "[a]pprove", "The second charge", '"category"')
    printed = terminal.screen.splitlines()
    for line in screen.splitlines():
        if line.strip().startswith(steady):
            assert line in printed
    names = [line[2:20].rstrip() for line in screen.splitlines() if line.startswith(("✓", "○"))]
    assert [line[2:20].rstrip() for line in printed if line.startswith(("✓", "○"))] == names


@pytest.mark.usefixtures("samples")
def test_the_conversation_of_the_readme(service: Service) -> None:
    _, chat = code_blocks(README, "First run", "sh")
    with _in_terminal(chat, service) as terminal:
        terminal.expect("> ")
        terminal.type("Please refund order 4812.")
        terminal.expect("eave > ")
        terminal.type("a")
        terminal.expect("\\n> ")
        assert terminal.leave() == 130
    assert "asks: Refund 49 for order 4812?" in terminal.screen


@pytest.mark.usefixtures("samples")
def test_the_first_run_of_the_tutorial(service: Service, tmp_path: Path) -> None:
    printed = run_session(code_blocks(TUTORIAL, "", "sh")[1:-1], service, tmp_path)

    # The body ends without a line end.
    assert '"status":"awaiting_input"' in printed
    assert '{"message":"ok"}' in printed
    # The stream starts after event 30, with the event that records the answer.
    ids = re.findall(r"^id: (\d+)\nevent: (.*)$", printed, re.MULTILINE)
    assert ids[0] == ("31", "approval_request.resolved")
    assert ids[-1][1] == "run.completed"
    assert '"effective_params":{"order_id":"4812","amount":45}' in printed


@pytest.mark.usefixtures("samples")
def test_the_session_of_the_conversation_tutorial(service: Service, tmp_path: Path) -> None:
    printed = run_session(code_blocks(CONVERSATION, "", "sh"), service, tmp_path)

    assert '{"ok":true}' in printed
    # The numbers of the events are those in the tutorial's own output.
    [stream] = [block for block in code_blocks(CONVERSATION, "", "text") if "id: " in block]
    expected = re.findall(r"^id: (\d+)\ndata: .*?\"type\":\"([^\"]+)\"", stream, re.MULTILINE)
    events = re.findall(r"^id: (\d+)\ndata: .*?\"type\":\"([^\"]+)\"", printed, re.MULTILINE)
    assert [events[0], events[-1]] == expected
    # curl prints no line end after a body: the thread's messages and the list of runs follow.
    last_line = printed.splitlines()[-1]
    messages, end = json.JSONDecoder().raw_decode(last_line)
    assert [message["role"] for message in messages] == ["user", "assistant"]
    # The list also has the runs of other tests, newest first.
    newest = json.loads(last_line[end:])[0]
    assert newest["status"] == "completed"


@pytest.mark.skipif(not shutil.which("jq"), reason="the recipe needs jq")
@pytest.mark.usefixtures("samples")
def test_the_recipe_that_deletes_the_data_of_a_person(project: Service, tmp_path: Path) -> None:
    [setup, *_] = code_blocks(RECIPES, "", "sh")
    create, delete, *_ = code_blocks(RECIPES, "Data of a person", "sh")
    other = project.create({"ticket_subject": "Help!"}, user_id="another person")
    run_session([setup, create], project, tmp_path)
    waiting = project.create({"ticket_subject": "Help!"}, user_id="customer-7421")
    project.wait(waiting["id"], "awaiting_input")
    printed = run_session([setup, delete], project, tmp_path)
    assert re.findall(r" (\d+)$", printed, re.MULTILINE) == ["204", "204"]
    assert run_session([setup, delete], project, tmp_path) == ""
    assert project.http.get(f"/v1/runs/{waiting['id']}").status_code == 404
    assert project.run(other["id"])["id"] == other["id"]


def test_the_agent_of_the_readme_is_valid() -> None:
    [agent] = code_blocks(README, "Your own agent", "yaml")
    texts = {**AgentDirectory(Path("agents")).read(), "greeter.yaml": agent}
    assert "greeter" in read_agents(texts).definitions


@pytest.mark.usefixtures("samples")
def test_the_python_run_of_the_readme(service: Service, tmp_path: Path) -> None:
    [code] = code_blocks(README, "First run", "python")
    assert len(code.splitlines()) <= MAX_LINES
    printed = run_python(code, service, tmp_path)
    assert "'category': 'billing'" in printed


@pytest.mark.usefixtures("samples")
def test_the_run_and_the_conversation_of_the_python_client(
    service: Service, tmp_path: Path
) -> None:
    run, resumed = code_blocks(PYTHON_CLIENT, "A run", "python")
    assert len(run.splitlines()) <= MAX_LINES
    printed = run_python(run + resumed, service, tmp_path)
    assert "'category': 'billing'" in printed
    [conversation] = code_blocks(PYTHON_CLIENT, "A conversation", "python")
    assert len(conversation.splitlines()) <= MAX_LINES
    # The second answer counts the messages of both turns and the first answer.
    assert "thread so far: 3" in run_python(conversation, service, tmp_path)
