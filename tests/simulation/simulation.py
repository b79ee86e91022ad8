"""The board: runs in a real store, processes that work on them, a clock, and what must be true."""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from runyard.cli.verify_stores import find_run_violations
from runyard_service.adapters.step_functions import WaitSpec
from runyard_service.adapters.stores import Stores
from runyard_service.agents.definitions.models import Snapshot
from runyard_service.agents.models.factory import model_for
from runyard_service.agents.tools.base import ToolEnvironment
from runyard_service.application.input_requests.request_input import request_input
from runyard_service.application.runs.start_next_execution import start_next_execution
from runyard_service.application.runs.start_run import NewRun, start_run
from runyard_service.application.steps.advance_run import advance_run
from runyard_service.application.steps.run_context import WorkerDeps
from runyard_service.domain.clock import timestamp
from runyard_service.domain.errors import RetryableError
from runyard_service.domain.events import Event
from runyard_service.domain.ids import new_id
from runyard_service.domain.runs import Execution, Run
from runyard_service.domain.threads import Thread
from tests.simulation.agents import agent
from tests.simulation.lossy_client import FailurePlan, LossyClient, ProcessLostError
from tests.simulation.simulated_state_machine import SimulatedStateMachine
from tests.support.servers.loopback import Exchange, LoopbackServer, Received

StoresOver = Callable[[Any], Stores]


class FakePaymentServer:
    """The tool server: what it was asked to take, by the id of the tool call."""

    def __init__(self) -> None:
        self.taken: dict[str, list[tuple[str, bytes]]] = {}

    def __call__(self, request: Received, exchange: Exchange) -> None:
        """Take it."""
        call_id = request.headers["idempotency-key"]
        self.taken.setdefault(call_id, []).append((request.path.strip("/"), request.body))
        exchange.send_json(200, {"status": "taken"})


@dataclass
class SuspendedProcess:
    """A process in the middle of its work, and what lets it go on and gives how it ended."""

    run_id: str
    client: LossyClient
    thread: threading.Thread

    def release(self) -> None:
        """Let it go on, and wait for its end."""
        self.client.go_on.set()
        self.thread.join(60)
        assert not self.thread.is_alive()


class Simulation:
    """One example's runs. `client` is the real store's, `till` the server that all tools call."""

    def __init__(
        self, client: Any, stores_over: StoresOver, till: FakePaymentServer, server: LoopbackServer
    ):
        self.client, self.stores_over, self.till = client, stores_over, till
        self.stores = stores_over(client)
        self.machine = SimulatedStateMachine()
        self.runs: list[Run] = []
        self.held: list[SuspendedProcess] = []
        self.accepted: dict[str, Any] = {}
        self._tools = ToolEnvironment({"TILL": server.url}, (server.host_and_port,))

    def begin(self, case: str, *, in_thread: bool = False, **limits: Any) -> Run:
        """A new run, in a thread of its own or in none."""
        wanted = NewRun(org_id="o", project_id="p", input={"case": case}, thread_id=None)
        if in_thread:
            at, thread_id = timestamp(), new_id()
            thread = Thread(id=thread_id, project_id="p", org_id="o", created_at=at, updated_at=at)
            self.stores.threads.create(thread)
            self.stores.messages.add(thread_id, "user", "Hello")
            wanted = NewRun(org_id="o", project_id="p", thread_id=thread_id)
        run = start_run(self.stores, self.machine, agent(case, **limits), wanted)
        self.runs.append(run)
        return run

    def advance(
        self, execution: Execution, plan: FailurePlan, then: Callable[[bool], None]
    ) -> None:
        """One invocation of run_step; `then` is told whether it succeeded."""

        def work(stores: Stores) -> None:
            worker = WorkerDeps(stores, _model, self._tools, flush_seconds=0, reserve_seconds=1)
            advance = asyncio.run(advance_run(worker, execution, 700))
            # Also by a worker that was thought dead.
            start_next_execution(self.machine, execution, advance)
            then(True)

        self._process(execution.run_id, plan, work, lambda _: then(False))

    def ask(
        self,
        execution: Execution,
        token: str,
        wait: WaitSpec,
        plan: FailurePlan,
        then: Callable[[str], None],
    ) -> None:
        """One invocation of request_input; `then` is told `waits`, `goes on` or `failed`."""

        def work(stores: Stores) -> None:
            waits = request_input(stores, execution, token, wait.limit, wait.last_sequence)
            then("waits" if waits else "goes on")

        self._process(execution.run_id, plan, work, lambda _: then("failed"))

    def process(self, run_id: str, plan: FailurePlan, work: Callable[[Stores], None]) -> bool:
        """Work that is lost where its plan says so; whether it came to its end."""
        lost: list[BaseException] = []
        self._process(run_id, plan, work, lost.append)
        return not lost

    def _process(
        self,
        run_id: str,
        plan: FailurePlan,
        work: Callable[[Stores], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        client = LossyClient(self.client, plan)
        faults: list[BaseException] = []

        def run() -> None:
            try:
                work(self.stores_over(client))
            except (RetryableError, ProcessLostError) as error:
                failed(error)
            except BaseException as error:  # noqa: BLE001 - it belongs to the test
                faults.append(error)
            finally:
                client.held_or_ended.set()

        thread = threading.Thread(target=run)
        thread.start()
        assert client.held_or_ended.wait(60)
        if client.is_held:
            self.held.append(SuspendedProcess(run_id, client, thread))
        else:
            thread.join(60)
        if faults:
            raise faults[0]

    # --- what must be true -----------------------------------------------------------------------

    def check(self, run: Run) -> None:
        """Every invariant of one run."""
        assert find_run_violations(self.stores, run.id) == []
        events = list(self.stores.log.events(run.id))
        self._check_answers(run, events)
        self._check_calls(events)

    def _check_answers(self, run: Run, events: list[Event]) -> None:
        """No accepted answer is lost, and each question has at most one."""
        kinds = ("agent.human_feedback.received", "approval_request.resolved")
        answers = [event.data for event in events if event.type in kinds]
        expired = [event.data["id"] for event in events if event.type == "input_request.expired"]
        ids = Counter([*(answer["id"] for answer in answers), *expired])
        assert max(ids.values(), default=1) == 1
        said = {answer["id"]: answer for answer in answers}
        requests = {request.id: request for request in self.stores.input_requests.of_run(run.id)}
        for request_id, content in self.accepted.items():
            if request_id in requests:
                assert content.items() <= said[request_id].items()

    def _check_calls(self, events: list[Event]) -> None:
        """No unsafe call twice, unless a person said so; only what was approved, and exactly it."""
        repeats: Counter[str] = Counter()
        approved: dict[str, Any] = {}
        call_of: dict[str, str] = {}
        for event in events:
            if "tool_call_id" in event.data:
                call_of[event.data["id"]] = event.data["tool_call_id"]
            elif event.data.get("feedback") == "repeat":
                repeats[call_of[event.data["id"]]] += 1
            elif event.data.get("is_approved") and event.data["id"] in call_of:
                approved[call_of[event.data["id"]]] = event.data["effective_params"]
        for event in events:
            if event.type != "agent.tool_call.started":
                continue
            call_id, name = event.data["id"], event.data["tool"]["name"]
            taken = self.till.taken.get(call_id, [])
            if name != "note":
                assert len(taken) <= 1 + repeats[call_id]
            if name.startswith("pay"):
                assert all(body == _as_sent(approved[call_id]) for _, body in taken)


def _as_sent(params: Any) -> bytes:
    return json.dumps(params).encode()


def _model(snapshot: Snapshot) -> Any:
    return model_for(snapshot.route, snapshot.script, None)
