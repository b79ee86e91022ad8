"""The tutorial that writes an agent, and the page about tests in CI, work as written."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from runyard_dev.dev_stack import DevStack
from tests.support.service import Service
from tests.support.shell_sessions import code_blocks, run_session
from tests.support.wait_until import wait_until

TUTORIAL = Path("docs/tutorial/write-an-agent.md")
TESTS_PAGE = Path("docs/how-to/test-agents.md")
EXAMPLE = Path("examples/agent")
AGENT_SECTIONS = (
    "1. Say what goes in and what comes out",
    "2. Add a tool",
    "3. Let it ask a person",
    "4. Require an approval",
)


def accepts_connections(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def ledger() -> Iterator[str]:
    """Yield the host and port of the service that the example's tools call."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, str(EXAMPLE / "ledger.py"), str(port)])
    try:
        wait_until(lambda: accepts_connections(port))
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def example(ledger: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Yield a service with the example's agent, set up as the tutorial says."""
    with DevStack.start(
        data_dir=tmp_path_factory.mktemp("tutorial"),
        agents_dir=EXAMPLE,
        environment={
            "AGENT_VARIABLES": json.dumps({"LEDGER_URL": f"http://{ledger}"}),
            "HTTP_ALLOWED_PRIVATE_HOSTS": ledger,
            "DEFAULT_AGENT": "expenses",
            "DEFAULT_PERSONA": "expenses",
        },
        event_sources=False,
    ) as stack:
        service = Service(stack.base_url, stack.access_key)
        yield service
        service.close()


def test_the_blocks_of_the_tutorial_are_the_files_of_the_example() -> None:
    blocks = [block for name in AGENT_SECTIONS for block in code_blocks(TUTORIAL, name, "yaml")]
    text = (EXAMPLE / "expenses.yaml").read_text("utf-8")
    assert yaml.safe_load("\n".join(blocks)) == yaml.safe_load(text)
    for section, name in (
        ("5. Name the model", "routes.yaml"),
        ("6. Write a script", "scripts/expenses.yaml"),
    ):
        [block] = code_blocks(TUTORIAL, section, "yaml")
        assert yaml.safe_load(block) == yaml.safe_load((EXAMPLE / name).read_text("utf-8"))


def test_the_session_of_the_tutorial_pays_what_a_person_approves(
    example: Service, tmp_path: Path
) -> None:
    check = code_blocks(TUTORIAL, "7. Check it", "sh")
    printed = run_session(check, example, Path.cwd())
    assert printed.strip() == code_blocks(TUTORIAL, "7. Check it", "text")[0].strip()

    # The first two blocks start what the fixtures start.
    _, _, *session = code_blocks(TUTORIAL, "8. Run it", "sh")
    printed = run_session(session, example, tmp_path)
    last = printed.splitlines()[-1]
    [output] = code_blocks(TUTORIAL, "8. Run it", "json")
    run = json.loads(last[last.rindex('{"data":{"id"') :])["data"]
    assert (run["status"], run["output"]) == ("completed", json.loads(output))


def test_the_test_of_the_page_about_ci_passes(example: Service) -> None:
    blocks = code_blocks(TESTS_PAGE, "Play a run", "sh")
    [request] = [block for block in blocks if "curl -s " in block and "make dev" not in block]
    assert run_session([request], example, Path.cwd()).strip() == "passed"
