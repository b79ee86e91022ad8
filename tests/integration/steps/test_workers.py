"""Test lost, late and concurrent workers: the append rule of the log decides."""

import asyncio
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
from runyard_service.domain.runs import Run
from tests.support.run_driver import ManualOrchestrator, RunDriver
from tests.support.scripted_agents import scripted_worker
from tests.support.servers.loopback import LoopbackServer
from tests.support.servers.payment_server import FakePaymentServer
from tests.support.wait_until import wait_until


@pytest.fixture
def payments() -> Iterator[tuple[FakePaymentServer, LoopbackServer]]:
    """Yield a tool server and its loopback server."""
    payment_server = FakePaymentServer()
    with LoopbackServer(payment_server) as server:
        yield payment_server, server
        payment_server.release.set()


class ToolRuns(RunDriver):
    """Runs of an agent whose tools call the payment server."""

    def __init__(self, stores: Stores, snapshot: Snapshot, server: LoopbackServer) -> None:
        tools = ToolEnvironment({"CRM_URL": server.url}, (server.host_and_port,))
        self.machine = ManualOrchestrator()
        super().__init__(stores, self.machine, scripted_worker(stores, tools))
        self.snapshot = snapshot
        self.project_id = "p"

    def start(self, case: str) -> Run:
        """Start a run that is not advanced yet."""
        request = NewRun(org_id="o", project_id=self.project_id, input={"case": case})
        return start_run(self.stores, self.orchestrator, self.snapshot, request)

    def advance(self, run: Run, seconds: float = 700) -> AdvanceResult:
        """Run an invocation of run_step on a new event loop: some tests call this in threads."""
        return asyncio.run(advance_run(self.worker, run.current_execution, seconds))

    def limited(self, **limits: Any) -> "ToolRuns":
        """Return the same agent with other limits."""
        definition = self.snapshot.definition.model_copy(update={"limits": Limits(**limits)})
        self.snapshot = self.snapshot.model_copy(update={"definition": definition})
        return self


@pytest.fixture
def driver(
    stack: DevStack, stores: Stores, payments: tuple[FakePaymentServer, LoopbackServer]
) -> ToolRuns:
    """Yield the agent of `tests/agents/tools.yaml`."""
    snapshot = Registry(AgentDirectory(Path(stack.environment["AGENTS_DIR"]))).agent("tools")
    return ToolRuns(stores, snapshot, payments[1])


def test_a_worker_without_time_hands_over_and_another_continues(driver: ToolRuns) -> None:
    run = driver.start("endless")
    assert driver.advance(run, seconds=5).outcome == "more"
    assert driver.types(run) == ["run.started"]
    assert driver.advance(run).outcome == "finished"
    assert "run.recovered" not in driver.types(run)


def lose_during_charge(driver: ToolRuns, payments: FakePaymentServer) -> Run:
    """Start a run, and lose its worker while its unsafe call is in flight."""
    run = driver.start("charge and ask")
    payments.release.clear()

    async def cut_off() -> None:
        work = asyncio.ensure_future(advance_run(driver.worker, run.current_execution, 700))
        await asyncio.to_thread(payments.arrived.wait, 20)
        work.cancel()
        await asyncio.wait([work])

    asyncio.run(cut_off())
    payments.release.set()
    assert driver.types(run)[-1] == "agent.tool_call.started"
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
    driver: ToolRuns,
    payments: tuple[FakePaymentServer, LoopbackServer],
    choice: str,
    calls: int,
    end: str,
) -> None:
    run = lose_during_charge(driver, payments[0])
    assert driver.advance(run).outcome == "needs_input"
    driver.ask(run)
    assert driver.types(run)[-3:] == [
        "run.recovered",
        "agent.human_feedback.requested",
        "run.paused",
    ]
    driver.answer(run, feedback=choice)
    driver.advance(run)
    types = driver.types(run)
    assert types[types.index("run.resumed") + 1] == end
    assert payments[0].charges.total() == calls
    assert find_run_violations(driver.stores, run.id) == []


def test_the_later_of_two_workers_stops(
    driver: ToolRuns, payments: tuple[FakePaymentServer, LoopbackServer]
) -> None:
    run = driver.start("charge and ask")
    payments[0].release.clear()
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(driver.advance, run)
        payments[0].arrived.wait(20)
        # The state machine regards the first worker as dead, and starts another.
        assert driver.advance(run).outcome == "needs_input"
        payments[0].release.set()
        with pytest.raises(SupersededError):
            late.result(20)
    assert payments[0].charges.total() == 1
    assert driver.types(run)[-1] == "run.recovered"


def test_a_cancel_stops_a_worker_during_a_tool_call(
    driver: ToolRuns, payments: tuple[FakePaymentServer, LoopbackServer]
) -> None:
    run = driver.start("charge and ask")
    payments[0].release.clear()
    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(driver.advance, run)
        payments[0].arrived.wait(20)
        cancel_run(driver.stores, driver.orchestrator, run.id, "user-1")
        payments[0].release.set()
        assert work.result(20).outcome == "finished"
    assert driver.types(run)[-3:] == [
        "agent.tool_call.started",
        "run.cancel_requested",
        "run.canceled",
    ]
    assert find_run_violations(driver.stores, run.id) == []


def test_a_run_canceled_before_its_start_does_nothing(driver: ToolRuns) -> None:
    run = driver.start("parallel")
    cancel_run(driver.stores, driver.orchestrator, run.id, "user-1")
    cancel_run(driver.stores, driver.orchestrator, run.id, "user-2")
    assert driver.advance(run).outcome == "finished"
    assert driver.types(run) == ["run.cancel_requested", "run.canceled"]


def test_an_answer_is_not_lost_when_the_wait_restarts(driver: ToolRuns) -> None:
    run = driver.start("two input requests")
    assert driver.advance(run).outcome == "needs_input"
    driver.ask(run, "first")
    # The execution vanished; its successor waits with another token.
    assert driver.advance(run).outcome == "needs_input"
    driver.ask(run, "second")
    driver.answer(run, feedback="1")
    assert driver.machine.resumed == []
    driver.answer(run, feedback="2")
    assert driver.machine.resumed == ["second"]
    # The successor is too late to wait.
    assert not driver.ask(run, "third")
    assert driver.advance(run).outcome == "finished"
    assert driver.types(run).count("run.paused") == 1
    assert find_run_violations(driver.stores, run.id) == []


def test_a_limit_is_requested_once(driver: ToolRuns) -> None:
    driver.limited(steps=1, on_limit="ask")
    run = driver.start("endless")
    met = driver.advance(run)
    assert (met.outcome, met.limit) == ("needs_input", "steps")
    # The response of the function was lost; then the execution vanished, and its successor waits.
    driver.ask(run, "first", met)
    driver.ask(run, "first", met)
    later = driver.advance(run)
    assert (later.outcome, later.limit) == ("needs_input", "")
    driver.ask(run, "second", later)
    assert driver.types(run).count("approval_request.created") == 1
    [request] = driver.stores.input_requests.open_of_run(run.id)
    approved = Answer(type=request.type, request_id=request.id, is_approved=True)
    submit_input(driver.stores, driver.orchestrator, run.id, approved, "user-1")
    assert driver.machine.resumed == ["second"]
    # A caller with an outdated state requests nothing.
    assert not driver.ask(run, "late", met)
    again = driver.advance(run)
    assert (again.limit, again.last_sequence > met.last_sequence) == ("steps", True)
    driver.ask(run, "third", again)
    assert driver.types(run)[-2:] == ["approval_request.created", "run.paused"]
    assert find_run_violations(driver.stores, run.id) == []


def test_calls_wait_if_the_time_limit_passed_before_their_start(driver: ToolRuns) -> None:
    driver.limited(wall_clock_seconds=1, on_limit="ask")
    run = driver.start("charge and ask")
    journal = Journal.open(driver.stores, run.id)
    journal.start()
    call = {"id": new_id(), "name": "lookup", "input": {"customer_id": "customer-1"}}
    response = {"content": "", "iteration": 1, "tool_calls": [call]}
    journal.append([NewEvent(type="agent.message.completed", data=response)])
    time.sleep(1.1)
    met = driver.advance(run)
    assert met.limit == "wall_clock_seconds"
    driver.ask(run, met=met)
    assert driver.types(run)[-2:] == ["approval_request.created", "run.paused"]
    [request] = driver.stores.input_requests.open_of_run(run.id)
    approved = Answer(
        type=request.type, request_id=request.id, is_approved=True, params={"new_limit": 600}
    )
    submit_input(driver.stores, driver.orchestrator, run.id, approved, "user-1")
    driver.advance(run)
    types = driver.types(run)
    resumed = types.index("run.resumed")
    assert types[resumed + 1 : resumed + 3] == [
        "agent.tool_call.started",
        "agent.tool_call.completed",
    ]


def test_the_next_worker_takes_over_the_hold_of_a_lost_worker(driver: ToolRuns) -> None:
    million = Decimal(10**6)
    route = {"input_usd_per_million": million, "output_usd_per_million": million}
    priced = driver.snapshot.route.model_copy(update=route)
    driver.snapshot = driver.snapshot.model_copy(update={"route": priced})
    driver.limited(usd_per_day=Decimal(1000))
    driver.project_id = f"project-{new_id()}"
    cap = DailyCap(driver.project_id, Decimal(1000), "tools")
    run = driver.start("charge and ask")

    def committed() -> Decimal:
        return driver.stores.spending.totals(cap, timestamp()[:10])[0]

    async def cut_off() -> None:
        work = asyncio.ensure_future(advance_run(driver.worker, run.current_execution, 700))
        await asyncio.to_thread(wait_until, committed)
        work.cancel()
        await asyncio.wait([work])

    asyncio.run(cut_off())
    assert driver.types(run) == ["run.started"]
    held = committed()
    assert held > 0
    assert driver.advance(run).outcome == "needs_input"
    usage = Journal.open(driver.stores, run.id).history.usage
    spent = driver.stores.spending.totals(cap, timestamp()[:10])
    assert spent == (usage.cost_usd, usage.cost_usd)


def test_a_cancel_closes_open_input_requests(driver: ToolRuns) -> None:
    run = driver.start("two input requests")
    driver.advance(run)
    driver.ask(run)
    cancel_run(driver.stores, driver.orchestrator, run.id, "user-1")
    states = {request.state for request in driver.stores.input_requests.of_run(run.id)}
    assert states == {"void"}
    assert not driver.ask(run)
    assert find_run_violations(driver.stores, run.id) == []


def test_nothing_can_be_appended_to_an_ended_run(driver: ToolRuns) -> None:
    run = driver.start("parallel")
    journal = Journal.open(driver.stores, run.id)
    cancel_run(driver.stores, driver.orchestrator, run.id, "user-1")
    with pytest.raises(AppendConflictError):
        journal.start()
    assert journal.history.has_ended
