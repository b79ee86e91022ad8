"""The page about own code works as written, also after `kill -9` of the local stack."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from runyard_dev.access_key import KEY_FILE
from runyard_dev.processes.process import free_ports
from tests.support.dev_process import make_dev
from tests.support.service import Service, assert_whole
from tests.support.shell_sessions import code_blocks, run_session

PAGE = Path("docs/how-to/own-code.md")
TEST_SECTION = "3. Test it without a service"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return the folder `refunds` with the files of the page."""
    app, *_ = code_blocks(PAGE, "1. Write the code", "python")
    agent, routes, script = code_blocks(PAGE, "2. Describe the agent", "yaml")
    [test] = code_blocks(PAGE, TEST_SECTION, "python")
    for name, text in {
        "agents/claims.yaml": agent,
        "agents/routes.yaml": routes,
        "agents/scripts/claims.yaml": script,
        "claims/app.py": app,
        "claims/test_app.py": test,
    }.items():
        file = tmp_path / "refunds" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path / "refunds"


def service_of(project: Path, port: int) -> Service:
    key = (project / "data" / KEY_FILE).read_text().strip()
    return Service(f"http://127.0.0.1:{port}", key)


def test_the_tests_of_the_page_pass(project: Path) -> None:
    [commands] = code_blocks(PAGE, TEST_SECTION, "sh")
    commands = commands.replace("../../.venv/bin/python", shlex.quote(sys.executable))
    commands = commands.replace(".venv/bin/runyard", f"{shlex.quote(sys.executable)} -m runyard")
    command = ["bash", "-euc", commands]
    done = subprocess.run(
        command, cwd=project.parent, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


@pytest.mark.timeout(180)
def test_a_run_is_approved_after_everything_was_killed(project: Path) -> None:
    _, create, approve = code_blocks(PAGE, "4. Run it", "sh")
    (port,) = free_ports(1)
    with make_dev(project, port) as process:
        service = service_of(project, port)
        printed = run_session([create, "echo $RUN $REQUEST"], service, project.parent)
        run_id, request_id = printed.split()
        process.kill()
        process.wait()
        service.close()
    with make_dev(project, port):
        service = service_of(project, port)
        # The variables of the first session.
        known = create.partition("field()")[0] + f"RUN={run_id}\nREQUEST={request_id}\n"
        printed = run_session([known, approve], service, project.parent)
        run, log = service.run(run_id), service.events(run_id)
        service.close()
    assert run["output"] == {"paid": "paid 30"}
    # The effect of the unsafe step has happened once.
    assert printed.splitlines()[-1] == "order 7: 30"
    assert (project / "claims" / "payments.txt").read_text() == "order 7: 30\n"
    assert_whole(log)
    types = [event["type"] for event in log]
    assert types.count("agent.emitted") == types.count("agent.step.started") == 1
    assert types.count("agent.message.completed") == 1
