"""A simulation: runs in the real store, processes that work on them, and the invariants."""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from runyard.cli.verify_stores import find_run_violations
from runyard_service.adapters.step_functions import Orchestrator
from runyard_service.adapters.stores import Stores
from runyard_service.agents.definitions.models import Snapshot
from runyard_service.agents.models.factory import model_for
from runyard_service.agents.tools.base import ToolEnvironment
from runyard_service.application.input_requests.request_input import request_input
from runyard_service.application.maintenance.sweep_runs import sweep_runs
from runyard_service.application.runs.close_run import close_run
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
from tests.support.event_schemas import find_schema_violations
from tests.support.retry_events import find_retry_violations
from tests.support.servers.payment_server import FakePaymentServer
from tests.support.state_machines import Execution as SimulatedExecution
from tests.support.state_machines import StateMachines

OpenStores = Callable[[Any], Stores]


@dataclass(frozen=True)
class Systems:
    """The systems that all simulations share: `dynamodb` is the client of the real store."""

    dynamodb: Any
    open_stores: OpenStores
    state_machines: StateMachines
    orchestrator: Orchestrator
    payment_server: FakePaymentServer
    tools: ToolEnvironment


@dataclass
class SuspendedProcess:
    """A process that is suspended at one of its writes."""

    run_id: str
    client: LossyClient
    thread: threading.Thread

    def resume(self) -> None:
        """Resume the process, and wait for its end."""
        self.client.resumed.set()
        self.thread.join(60)
        assert not self.thread.is_alive()


class Simulation:
    """The runs of one example; `actions` counts the actions by kind."""

    def __init__(self, systems: Systems, actions: Counter[str]) -> None:
        self.stores = systems.open_stores(systems.dynamodb)
        self.state_machines = systems.state_machines
        self.state_machines.executions.clear()
        systems.payment_server.busy.clear()
        self.orchestrator = systems.orchestrator
        self.payment_server = systems.payment_server
        self.runs: list[Run] = []
        self.suspended: list[SuspendedProcess] = []
        self.accepted: dict[str, Any] = {}
        self.actions = actions
        self._systems = systems

    def count(self, action: str) -> None:
        """Count one action of this kind."""
        self.actions[action] += 1

    @property
    def active_executions(self) -> list[SimulatedExecution]:
        """Return the executions that have not ended."""
        executions = self.state_machines.executions.values()
        return [one for one in executions if one.status == "RUNNING"]

    @property
    def waiting_executions(self) -> list[SimulatedExecution]:
        """Return the executions that wait for a person."""
        return [one for one in self.active_executions if one.is_waiting]

    def newest_execution(self, run_id: str) -> SimulatedExecution:
        """Return the execution that was started last for the run."""
        return self.state_machines.of_run(run_id)[-1]

    def start(self, case: str, *, in_thread: bool = False, **limits: Any) -> Run:
        """Start a run, in a new thread or without one."""
        self.count("starts")
        new_run = NewRun(org_id="o", project_id="p", input={"case": case}, thread_id=None)
        if in_thread:
            at, thread_id = timestamp(), new_id()
            thread = Thread(id=thread_id, project_id="p", org_id="o", created_at=at, updated_at=at)
            self.stores.threads.create(thread)
            self.stores.messages.add(thread_id, "user", "Hello")
            new_run = NewRun(org_id="o", project_id="p", thread_id=thread_id)
        run = start_run(self.stores, self.orchestrator, agent(case, **limits), new_run)
        self.runs.append(run)
        return run

    def make_busy(self, calls: int) -> None:
        """Let the next calls of the idempotent tool fail: the service repeats them."""
        self.count("busy tools")
        self.payment_server.busy["/note"] = calls

    def sweep(self, plan: FailurePlan) -> None:
        """Run the sweep over all active runs."""
        self.count("sweeps")
        self.run_process(
            "", plan, lambda stores: sweep_runs(stores, self.orchestrator, everything=True)
        )

    def invoke(
        self,
        function: str,
        payload: Mapping[str, Any],
        plan: FailurePlan,
        finish: Callable[[str], object] = lambda error: None,
    ) -> None:
        """Invoke a function; `finish` gets its error name, or an empty string.

        A suspended process calls `finish` after it is resumed.
        """
        self.count(f"invocations of {function}")
        execution = Execution.parse(payload["execution"], payload["run_id"])

        def work(stores: Stores) -> None:
            match function:
                case "run_step":
                    self._run_step(stores, execution)
                case "request_input":
                    token, limit = payload["task_token"], payload["limit"]
                    if not request_input(stores, execution, token, limit, payload["last_sequence"]):
                        self.orchestrator.resume(token)
                case _:
                    close_run(stores, execution, payload["error"]["Error"])
            finish("")

        self._start_process(execution.run_id, plan, work, lambda error: finish(_error_name(error)))

    def _run_step(self, stores: Stores, execution: Execution) -> None:
        tools = self._systems.tools
        worker = WorkerDeps(stores, _model, tools, flush_seconds=0, reserve_seconds=1)
        advance = asyncio.run(advance_run(worker, execution, 700))
        start_next_execution(self.orchestrator, execution, advance)

    def run_process(self, run_id: str, plan: FailurePlan, work: Callable[[Stores], object]) -> bool:
        """Run the work in a process with failures; return False if the process fails."""
        errors: list[BaseException] = []
        self._start_process(run_id, plan, work, errors.append)
        return not errors

    def _start_process(
        self,
        run_id: str,
        plan: FailurePlan,
        work: Callable[[Stores], object],
        fail: Callable[[BaseException], object],
    ) -> None:
        client = LossyClient(self._systems.dynamodb, plan)
        unexpected: list[BaseException] = []

        def run() -> None:
            try:
                work(self._systems.open_stores(client))
            except (RetryableError, ProcessLostError) as error:
                fail(error)
            except BaseException as error:  # noqa: BLE001 - the thread of the test raises it
                unexpected.append(error)
            finally:
                client.suspended_or_ended.set()

        thread = threading.Thread(target=run)
        thread.start()
        assert client.suspended_or_ended.wait(60)
        if client.is_suspended:
            self.suspended.append(SuspendedProcess(run_id, client, thread))
        else:
            thread.join(60)
        if unexpected:
            raise unexpected[0]

    # --- invariants ----------------------------------------------------------------------------

    def check(self, run: Run) -> None:
        """Assert every invariant of one run."""
        assert find_run_violations(self.stores, run.id) == []
        events = list(self.stores.log.events(run.id))
        assert find_schema_violations(event._asdict() for event in events) == []
        assert find_retry_violations(events) == []
        self._check_answers(run, events)
        self._check_calls(events)

    def _check_answers(self, run: Run, events: list[Event]) -> None:
        """Assert that each request has at most one answer, and that no accepted answer is lost."""
        kinds = ("agent.human_feedback.received", "approval_request.resolved")
        answers = [event.data for event in events if event.type in kinds]
        expired = [event.data["id"] for event in events if event.type == "input_request.expired"]
        ids = Counter([*(answer["id"] for answer in answers), *expired])
        assert max(ids.values(), default=1) == 1
        recorded = {answer["id"]: answer for answer in answers}
        requests = {request.id: request for request in self.stores.input_requests.of_run(run.id)}
        for request_id, content in self.accepted.items():
            if request_id in requests:
                assert content.items() <= recorded[request_id].items()

    def _check_calls(self, events: list[Event]) -> None:
        """Assert that unsafe calls are not repeated, and that approved calls have their parameters.

        A person may decide to repeat an unsafe call.
        """
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
            requests = self.payment_server.requests.get(call_id, [])
            if name != "note":
                assert len(requests) <= 1 + repeats[call_id]
            if name.startswith("pay"):
                assert all(sent.body == _encode(approved[call_id]) for sent in requests)


def _error_name(error: BaseException) -> str:
    """Return the error name that Step Functions gets from Lambda."""
    return "Runtime.ExitError" if isinstance(error, ProcessLostError) else type(error).__name__


def _encode(params: Any) -> bytes:
    return json.dumps(params).encode()


def _model(snapshot: Snapshot) -> Any:
    return model_for(snapshot.route, snapshot.script, None)
