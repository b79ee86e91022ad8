"""Kill real processes at a chosen call, with the real state machine.

`test_crashes.py` has every point. This module has those with the most severe consequences.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from runyard.cli.verify_stores import find_run_violations
from runyard_dev.access_key import ORG_ID, PROJECT_ID
from runyard_dev.dev_stack import DevStack
from runyard_dev.open_store import stores_of
from runyard_dev.plugin import PLUGIN_VARIABLE
from runyard_dev.processes import process
from runyard_service.domain.ids import new_id
from tests.fault_injection import intercept
from tests.fault_injection.faults import FILE_VARIABLE, Fault
from tests.support.merged_agents import merged_agents
from tests.support.servers.loopback import Exchange, LoopbackServer, Received
from tests.support.service import Service, assert_whole

KEY = "ry_crashes_key"
RESPONDED = "dynamodb.PutItem agent.message.completed+agent.tool_call.started"
PAUSED = "dynamodb.TransactWriteItems agent.human_feedback.requested+run.paused"

pytestmark = pytest.mark.timeout(300)


class CrashStack:
    """A stack whose processes read a fault from a file, and a payment server that survives them."""

    def __init__(self, stack: DevStack, file: Path, charges: Counter[str]) -> None:
        self.stores = stores_of(stack.environment)
        self.service = Service(stack.base_url, KEY)
        self.file = file
        self.charges = charges

    def retry(self, send: Callable[[], httpx.Response]) -> httpx.Response:
        """Repeat the request until there is a response: the web server may die and restart."""
        until = time.monotonic() + 60
        while True:
            try:
                return send()
            except httpx.TransportError:
                assert time.monotonic() < until
                time.sleep(0.1)

    def create(self) -> str:
        """Create a run, the same one for any number of attempts; return its id."""
        headers = {"Idempotency-Key": new_id()}
        body = {"input": {"case": "charge and ask"}, "background": True}
        answer = self.retry(lambda: self.service.http.post("/v1/runs", json=body, headers=headers))
        assert answer.status_code == 202, answer.text
        return str(answer.json()["data"]["id"])

    def finish(self, run_id: str) -> dict[str, Any]:
        """Answer all input requests of the run until it ends; skip charges that were made."""
        while True:
            run = self.service.wait(run_id, "awaiting_input", "completed", "failed")
            if run["status"] != "awaiting_input":
                return run
            in_doubt = "choices" in run["input_requests"][0]["params"]
            feedback = "skip" if in_doubt else "yes"
            answer = self.retry(lambda: self.service.answer(run, feedback=feedback))  # noqa: B023
            assert answer.status_code == 200, answer.text
            time.sleep(0.1)


@pytest.fixture(scope="module")
def crash_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CrashStack]:
    """Yield the stack and the payment server."""
    folder = tmp_path_factory.mktemp("deaths")
    charges: Counter[str] = Counter()

    def charge(request: Received, exchange: Exchange) -> None:
        charges[request.headers["idempotency-key"]] += 1
        exchange.send_json(200, {"status": "charged"})

    with LoopbackServer(charge) as server, pytest.MonkeyPatch.context() as patch:
        # Each process dies more often than the supervisor tolerates by default.
        patch.setattr(process, "CRASH_WINDOW_SECONDS", 0)
        environment = {
            PLUGIN_VARIABLE: intercept.__name__,
            FILE_VARIABLE: str(folder / "fault"),
            "AGENT_VARIABLES": f'{{"CRM_URL": "{server.url}"}}',
            "HTTP_ALLOWED_PRIVATE_HOSTS": server.host_and_port,
        }
        agents = merged_agents(folder / "agents")
        with DevStack.start(
            data_dir=folder / "data", agents_dir=agents, environment=environment
        ) as stack:
            crash_service = CrashStack(stack, folder / "fault", charges)
            crash_service.stores.access_keys.save(
                KEY, project_id=PROJECT_ID, org_id=ORG_ID, agent="crashes"
            )
            yield crash_service
            crash_service.service.close()


@pytest.mark.parametrize(
    ("call", "edge"),
    [
        ("dynamodb.PutItem run", "after"),
        (RESPONDED, "before"),
        ("http.POST /refunds", "after"),
        (PAUSED, "after"),
        ("stepfunctions.SendTaskSuccess", "before"),
    ],
)
def test_a_run_survives_the_death_of_its_process(
    crash_service: CrashStack, call: str, edge: str
) -> None:
    before = crash_service.charges.total()
    crash_service.file.write_text(str(Fault.parse(f"{call}:{edge}:kill:1")), encoding="utf-8")
    run_id = crash_service.create()
    run = crash_service.finish(run_id)
    assert not crash_service.file.exists(), "no process died"
    assert run["status"] == "completed", run
    assert_whole(crash_service.service.events(run_id))
    assert find_run_violations(crash_service.stores, run_id) == []
    assert crash_service.charges.total() == before + 1
