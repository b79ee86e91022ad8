"""Test lost, late and concurrent workers: the append rule of the log decides."""

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from runyard.cli.verify_stores import find_run_violations
from runyard_dev.dev_stack import DevStack
from runyard_service.adapters.dynamodb.spending_ledger import DailyCap
from runyard_service.adapters.step_functions import NOTHING_TO_WAIT_FOR, Orchestrator, WaitSpec
from runyard_service.adapters.stores import Stores
from runyard_service.agents.definitions.models import Limits, Snapshot
from runyard_service.agents.definitions.source import AgentDirectory
from runyard_service.agents.registry import Registry
from runyard_service.agents.tools.base import ToolEnvironment
from runyard_service.application.input_requests.submit_input import submit_input
from runyard_service.application.runs.cancel_run import cancel_run
from runyard_service.application.runs.journal import Journal
from runyard_service.application.runs.start_run import NewRun, start_run
from runyard_service.application.steps.advance_run import AdvanceResult, advance_run
from runyard_service.domain.clock import timestamp
from runyard_service.domain.errors import AppendConflictError, SupersededError
from runyard_service.domain.events import NewEvent
from runyard_service.domain.ids import new_id
from runyard_service.domain.input_requests import Answer
from runyard_service.domain.runs import Execution, Run
from tests.support.scripted_agents import ask, scripted_worker
from tests.support.servers.loopback import Exchange, LoopbackServer, Received
from tests.support.wait_until import wait_until


class ManualOrchestrator(Orchestrator):
    """A fake: the test does the work of the state machine, and checks the returned tokens."""

    def __init__(self) -> None:
        self.resumed: list[str] = []

    def start(self, execution: Execution, wait: WaitSpec = NOTHING_TO_WAIT_FOR) -> None:
        """Do nothing: the test advances the run."""

    def stop(self, execution: Execution) -> None:
        """Do nothing: there is no execution to stop."""

    def resume(self, token: str) -> bool:
        """Record the token; an execution waits for every token."""
        self.resumed.append(token)
        return True


class FakePaymentServer:
    """A tool server that counts calls, and can block one until the test releases it."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.arrived = threading.Event()
        self.release = threading.Event()
        self.release.set()

    def __call__(self, request: Received, exchange: Exchange) -> None:
        """Receive the call."""
        self.calls.append(request.headers.get("idempotency-key", ""))
        self.arrived.set()
        self.release.wait(20)
        exchange.send_json(200, {"status": "charged"})


@pytest.fixture
def till() -> Iterator[tuple[FakePaymentServer, LoopbackServer]]:
    """Yield a tool server and its loopback server."""
    answer = FakePaymentServer()
    with LoopbackServer(answer) as server:
        yield answer, server
        answer.release.set()


class Bench:
    """Runs of one agent, executed by the test."""

    def __init__(self, stores: Stores, snapshot: Snapshot, server: LoopbackServer) -> None:
        self.stores = stores
        self.snapshot = snapshot
        self.project_id = "p"
        self.orchestrator = ManualOrchestrator()
        tools = ToolEnvironment({"CRM_URL": server.url}, (server.host_and_port,))
        self.worker = scripted_worker(stores, tools)

    def start(self, case: str) -> Run:
        """Start a run that is not advanced yet."""
        request = NewRun(org_id="o", project_id=self.project_id, input={"case": case})
        return start_run(self.stores, self.orchestrator, self.snapshot, request)

    def advance(self, run: Run, seconds: float = 700) -> AdvanceResult:
        """Run one invocation of run_step."""
        return asyncio.run(advance_run(self.worker, run.current_execution, seconds))

    def limited(self, **limits: Any) -> "Bench":
        """Return the same agent with other limits."""
        definition = self.snapshot.definition.model_copy(update={"limits": Limits(**limits)})
        self.snapshot = self.snapshot.model_copy(update={"definition": definition})
        return self

    def ask(self, run: Run, token: str = "token", met: AdvanceResult | None = None) -> bool:
        """Run one invocation of request_input, with the reached limit if there is one."""
        return ask(self.stores, run.current_execution, token, met)

    def answer(self, run: Run, feedback: str) -> None:
        """Answer the oldest open input request."""
        request = self.stores.input_requests.open_of_run(run.id)[0]
        answer = Answer(type=request.type, request_id=request.id, feedback=feedback)
        submit_input(self.stores, self.orchestrator, run.id, answer, "user-1")

    def types(self, run: Run) -> list[str]:
        """Return the event types of the log, without deltas."""
        types = [event.type for event in self.stores.log.events(run.id)]
        return [kind for kind in types if not kind.endswith(".delta")]


@pytest.fixture
def bench(stack: DevStack, stores: Stores, till: tuple[FakePaymentServer, LoopbackServer]) -> Bench:
    """Yield the agent of `tests/agents/tools.yaml`."""
    snapshot = Registry(AgentDirectory(Path(stack.environment["AGENTS_DIR"]))).agent("tools")
    return Bench(stores, snapshot, till[1])


def test_a_worker_without_time_hands_over_and_another_continues(bench: Bench) -> None:
    run = bench.start("endless")
    assert bench.advance(run, seconds=5).outcome == "more"
    assert bench.types(run) == ["run.started"]
    assert bench.advance(run).outcome == "finished"
    assert "run.recovered" not in bench.types(run)


def lose_during_charge(bench: Bench, till: FakePaymentServer) -> Run:
    """Start a run, and lose its worker while its unsafe call is in flight."""
    run = bench.start("charge and ask")
    till.release.clear()

    async def cut_off() -> None:
        work = asyncio.ensure_future(advance_run(bench.worker, run.current_execution, 700))
        await asyncio.to_thread(till.arrived.wait, 20)
        work.cancel()
        await asyncio.wait([work])

    asyncio.run(cut_off())
    till.release.set()
    assert bench.types(run)[-1] == "agent.tool_call.started"
    return run


@pytest.mark.parametrize(
    ("choice", "calls", "end"),
    [
        ("repeat", 2, "agent.tool_call.completed"),
        ("skip", 1, "agent.tool_call.failed"),
        ("fail", 1, "run.failed"),
    ],
)
def test_an_unsafe_call_in_doubt_is_decided_by_a_person(
    bench: Bench, till: tuple[FakePaymentServer, LoopbackServer], choice: str, calls: int, end: str
) -> None:
    run = lose_during_charge(bench, till[0])
    assert bench.advance(run).outcome == "needs_input"
    bench.ask(run)
    assert bench.types(run)[-3:] == [
        "run.recovered",
        "agent.human_feedback.requested",
        "run.paused",
    ]
    bench.answer(run, choice)
    bench.advance(run)
    types = bench.types(run)
    assert types[types.index("run.resumed") + 1] == end
    assert len(till[0].calls) == calls
    assert find_run_violations(bench.stores, run.id) == []


def test_the_later_of_two_workers_stops(
    bench: Bench, till: tuple[FakePaymentServer, LoopbackServer]
) -> None:
    run = bench.start("charge and ask")
    till[0].release.clear()
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(bench.advance, run)
        till[0].arrived.wait(20)
        # The state machine regards the first worker as dead, and starts another.
        assert bench.advance(run).outcome == "needs_input"
        till[0].release.set()
        with pytest.raises(SupersededError):
            late.result(20)
    assert len(till[0].calls) == 1
    assert bench.types(run)[-1] == "run.recovered"


def test_a_cancel_stops_a_worker_during_a_tool_call(
    bench: Bench, till: tuple[FakePaymentServer, LoopbackServer]
) -> None:
    run = bench.start("charge and ask")
    till[0].release.clear()
    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(bench.advance, run)
        till[0].arrived.wait(20)
        cancel_run(bench.stores, bench.orchestrator, run.id, "user-1")
        till[0].release.set()
        assert work.result(20).outcome == "finished"
    assert bench.types(run)[-3:] == [
        "agent.tool_call.started",
        "run.cancel_requested",
        "run.canceled",
    ]
    assert find_run_violations(bench.stores, run.id) == []


def test_a_run_canceled_before_its_start_does_nothing(bench: Bench) -> None:
    run = bench.start("parallel")
    cancel_run(bench.stores, bench.orchestrator, run.id, "user-1")
    cancel_run(bench.stores, bench.orchestrator, run.id, "user-2")
    assert bench.advance(run).outcome == "finished"
    assert bench.types(run) == ["run.cancel_requested", "run.canceled"]


def test_an_answer_is_not_lost_when_the_wait_restarts(bench: Bench) -> None:
    run = bench.start("two input requests")
    assert bench.advance(run).outcome == "needs_input"
    bench.ask(run, "first")
    # The execution vanished; its successor waits with another token.
    assert bench.advance(run).outcome == "needs_input"
    bench.ask(run, "second")
    bench.answer(run, "1")
    assert bench.orchestrator.resumed == []
    bench.answer(run, "2")
    assert bench.orchestrator.resumed == ["second"]
    # The successor is too late to wait.
    assert not bench.ask(run, "third")
    assert bench.advance(run).outcome == "finished"
    assert bench.types(run).count("run.paused") == 1
    assert find_run_violations(bench.stores, run.id) == []


def test_a_limit_is_requested_once(bench: Bench) -> None:
    bench.limited(steps=1, on_limit="ask")
    run = bench.start("endless")
    met = bench.advance(run)
    assert (met.outcome, met.limit) == ("needs_input", "steps")
    # The response of the function was lost; then the execution vanished, and its successor waits.
    bench.ask(run, "first", met)
    bench.ask(run, "first", met)
    later = bench.advance(run)
    assert (later.outcome, later.limit) == ("needs_input", "")
    bench.ask(run, "second", later)
    assert bench.types(run).count("approval_request.created") == 1
    [request] = bench.stores.input_requests.open_of_run(run.id)
    approved = Answer(type=request.type, request_id=request.id, is_approved=True)
    submit_input(bench.stores, bench.orchestrator, run.id, approved, "user-1")
    assert bench.orchestrator.resumed == ["second"]
    # A caller with an outdated state requests nothing.
    assert not bench.ask(run, "late", met)
    again = bench.advance(run)
    assert (again.limit, again.last_sequence > met.last_sequence) == ("steps", True)
    bench.ask(run, "third", again)
    assert bench.types(run)[-2:] == ["approval_request.created", "run.paused"]
    assert find_run_violations(bench.stores, run.id) == []


def test_calls_wait_if_the_time_limit_passed_before_their_start(bench: Bench) -> None:
    bench.limited(wall_clock_seconds=1, on_limit="ask")
    run = bench.start("charge and ask")
    journal = Journal.open(bench.stores, run.id)
    journal.start()
    call = {"id": new_id(), "name": "lookup", "input": {"customer_id": "customer-1"}}
    response = {"content": "", "iteration": 1, "tool_calls": [call]}
    journal.append([NewEvent(type="agent.message.completed", data=response)])
    time.sleep(1.1)
    met = bench.advance(run)
    assert met.limit == "wall_clock_seconds"
    bench.ask(run, met=met)
    assert bench.types(run)[-2:] == ["approval_request.created", "run.paused"]
    [request] = bench.stores.input_requests.open_of_run(run.id)
    approved = Answer(
        type=request.type, request_id=request.id, is_approved=True, params={"new_limit": 600}
    )
    submit_input(bench.stores, bench.orchestrator, run.id, approved, "user-1")
    bench.advance(run)
    types = bench.types(run)
    resumed = types.index("run.resumed")
    assert types[resumed + 1 : resumed + 3] == [
        "agent.tool_call.started",
        "agent.tool_call.completed",
    ]


def test_the_next_worker_takes_over_the_hold_of_a_lost_worker(bench: Bench) -> None:
    million = Decimal(10**6)
    route = {"input_usd_per_million": million, "output_usd_per_million": million}
    priced = bench.snapshot.route.model_copy(update=route)
    bench.snapshot = bench.snapshot.model_copy(update={"route": priced})
    bench.limited(usd_per_day=Decimal(1000))
    bench.project_id = f"project-{new_id()}"
    cap = DailyCap(bench.project_id, Decimal(1000), "tools")
    run = bench.start("charge and ask")

    def committed() -> Decimal:
        return bench.stores.spending.totals(cap, timestamp()[:10])[0]

    async def cut_off() -> None:
        work = asyncio.ensure_future(advance_run(bench.worker, run.current_execution, 700))
        await asyncio.to_thread(wait_until, committed)
        work.cancel()
        await asyncio.wait([work])

    asyncio.run(cut_off())
    assert bench.types(run) == ["run.started"]
    held = committed()
    assert held > 0
    assert bench.advance(run).outcome == "needs_input"
    usage = Journal.open(bench.stores, run.id).history.usage
    spent = bench.stores.spending.totals(cap, timestamp()[:10])
    assert spent == (usage.cost_usd, usage.cost_usd)


def test_a_cancel_closes_open_input_requests(bench: Bench) -> None:
    run = bench.start("two input requests")
    bench.advance(run)
    bench.ask(run)
    cancel_run(bench.stores, bench.orchestrator, run.id, "user-1")
    states = {request.state for request in bench.stores.input_requests.of_run(run.id)}
    assert states == {"void"}
    assert not bench.ask(run)
    assert find_run_violations(bench.stores, run.id) == []


def test_nothing_can_be_appended_to_an_ended_run(bench: Bench) -> None:
    run = bench.start("parallel")
    journal = Journal.open(bench.stores, run.id)
    cancel_run(bench.stores, bench.orchestrator, run.id, "user-1")
    with pytest.raises(AppendConflictError):
        journal.start()
    assert journal.history.has_ended
