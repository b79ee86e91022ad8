"""Test each repair of the sweep, with a state machine that loses executions and calls."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runyard.cli.verify_stores import find_run_violations
from runyard_service.adapters.step_functions import (
    NOTHING_TO_WAIT_FOR,
    ExecutionState,
    Orchestrator,
    WaitSpec,
)
from runyard_service.adapters.stores import Stores
from runyard_service.application.input_requests.submit_input import submit_input
from runyard_service.application.maintenance.sweep_runs import MAX_LOST_EXECUTIONS, sweep_runs
from runyard_service.application.runs.journal import Journal
from runyard_service.application.runs.start_run import NewRun, start_run
from runyard_service.application.steps.advance_run import AdvanceResult
from runyard_service.domain import clock, input_requests
from runyard_service.domain.input_requests import Answer
from runyard_service.domain.runs import Execution, Run
from tests.support.run_driver import RunDriver
from tests.support.scripted_agents import ask, scripted_agent


class ForgetfulMachine(Orchestrator):
    """A fake: timers of the emulator always fire, and its executions do not vanish.

    Every started execution runs until the test changes its state.
    """

    def __init__(self) -> None:
        self.states: dict[str, ExecutionState] = {}
        self.started: list[str] = []
        self.waits: dict[str, WaitSpec] = {}
        self.resumed: list[str] = []

    def start(self, execution: Execution, wait: WaitSpec = NOTHING_TO_WAIT_FOR) -> None:
        """Record the start; the test advances the run."""
        self.started.append(execution.name)
        self.waits[execution.name] = wait
        self.states[execution.name] = "running"

    def state(self, execution: Execution) -> ExecutionState:
        """Return the state that the test has set; the runs of other tests are always running."""
        known = any(name.startswith(execution.run_id) for name in self.states)
        return self.states.get(execution.name, "missing" if known else "running")

    def resume(self, token: str) -> bool:
        """Record the token; an execution waits for every token."""
        self.resumed.append(token)
        return True


class SweptRuns(RunDriver):
    """Runs of an agent with one input request, on a state machine that loses executions."""

    def __init__(self, stores: Stores) -> None:
        self.machine = ForgetfulMachine()
        super().__init__(stores, self.machine)

    def waiting(self, *, expires_in: float | None = None, **limits: Any) -> Run:
        """Start a run that has an input request and waits with its token."""
        run = self.start(expires_in=expires_in, **limits)
        assert self.advance(run).outcome == "needs_input"
        assert self.ask(run, token_of(run))
        return run

    def start(self, *, expires_in: float | None = None, **limits: Any) -> Run:
        """Start a run: it has a record and an execution."""
        tool: dict[str, Any] = {"kind": "ask_human"}
        if expires_in is not None:
            tool |= {"expires_in": expires_in, "on_expiry": "use_default", "default": "unknown"}
        ask_call = {"call": [{"tool": "ask_human", "input": {"prompt": "Now?"}}]}
        turns = [ask_call, {"say": "{{ results.ask_human.content }}"}]
        snapshot = scripted_agent(turns, [tool], **limits)
        request = NewRun(org_id="o", project_id="swept", input={"x": 1})
        return start_run(self.stores, self.machine, snapshot, request)

    def advance(self, run: Run, seconds: float = 700) -> AdvanceResult:
        """Run an invocation of run_step in the current execution of the record."""
        return super().advance(self.record(run), seconds)

    def sweep(self) -> None:
        """Sweep everything."""
        sweep_runs(self.stores, self.machine, everything=True)

    def recoveries(self, run: Run) -> list[str]:
        """Return the reasons of the run's recoveries."""
        events = self.stores.log.events(run.id)
        return [event.data["reason"] for event in events if event.type == "run.recovered"]


@pytest.fixture
def driver(stores: Stores) -> Iterator[SweptRuns]:
    """Yield a driver; afterwards, all its runs must have ended correctly or are closed."""
    driver = SweptRuns(stores)
    yield driver
    for name in driver.machine.states:
        if len(name) == 36:
            assert find_run_violations(stores, name) == []


def token_of(run: Run) -> str:
    """Return a token of this run: the sweep also checks runs of other tests."""
    return f"token of {run.id}"


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let this time pass for every input request."""

    def then() -> datetime:
        return datetime.now(UTC) + timedelta(seconds=seconds)

    monkeypatch.setattr(clock, "now", then)
    monkeypatch.setattr(input_requests, "now", then)


def test_a_run_that_no_worker_starts_is_orphaned(
    driver: SweptRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, started = driver.start(), driver.waiting()
    assert left.id not in sweep_runs(driver.stores, driver.machine).not_started
    later(monkeypatch, 130)
    sweep = sweep_runs(driver.stores, driver.machine)
    assert left.id in sweep.not_started
    assert started.id not in sweep.not_started
    assert sweep.orphaned >= len(sweep.not_started)
    assert driver.recoveries(left) == []


def test_an_active_run_is_checked_once_and_then_left_to_its_worker(
    driver: SweptRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = driver.start()
    Journal.open(driver.stores, run.id).start()
    assert run.id in set(at(driver.stores, 130))
    later(monkeypatch, 130)
    sweep = sweep_runs(driver.stores, driver.machine)
    assert run.id not in sweep.not_started
    due = {seconds: run.id in set(at(driver.stores, seconds)) for seconds in (940, 980)}
    assert due == {940: False, 980: True}
    assert driver.recoveries(run) == []


def test_an_answer_whose_resume_was_lost_is_resumed_once(driver: SweptRuns) -> None:
    run = driver.waiting()
    [request] = driver.stores.input_requests.open_of_run(run.id)
    answer = Answer(type=request.type, request_id=request.id, feedback="yes")
    submit_input(driver.stores, driver.machine, run.id, answer, "user-1")
    driver.machine.resumed.clear()  # As if the answer had never arrived.
    for _ in range(2):
        driver.sweep()
    assert driver.machine.resumed.count(token_of(run)) == 2
    assert driver.recoveries(run) == ["answer_not_resumed"]
    assert driver.advance(run).outcome == "finished"
    assert driver.record(run).output == {"content": "yes"}


def test_an_expired_input_request_is_closed_without_its_timer(
    driver: SweptRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = driver.waiting(expires_in=60)
    driver.sweep()
    later(monkeypatch, 100)  # The timer of the state machine may still fire.
    driver.sweep()
    assert token_of(run) not in driver.machine.resumed
    later(monkeypatch, 1000)
    driver.sweep()
    assert token_of(run) in driver.machine.resumed
    assert driver.recoveries(run) == ["wait_overdue"]
    assert driver.advance(run).outcome == "finished"
    assert driver.record(run).output == {"content": "unknown"}


def test_the_sweep_checks_a_wait_at_its_expiry_and_not_a_day_later(
    driver: SweptRuns,
) -> None:
    run = driver.waiting(expires_in=60)
    due = {seconds: run.id in set(at(driver.stores, seconds)) for seconds in (100, 200)}
    assert due == {100: False, 200: True}
    driver.sweep()
    assert run.id in set(at(driver.stores, 200))
    patient = driver.waiting()
    assert patient.id not in set(at(driver.stores, 3600))


def at(stores: Stores, seconds: float) -> Iterator[str]:
    return stores.runs.due_for_check(clock.timestamp_in(seconds))


def test_a_run_without_an_answer_in_its_waiting_time_fails(
    driver: SweptRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = driver.waiting(wait_seconds=3600)
    again = driver.advance(run)
    assert (again.outcome, 3590 < again.wait_seconds <= 3601) == ("needs_input", True)
    later(monkeypatch, 3000)
    assert 590 < driver.advance(run).wait_seconds <= 601
    later(monkeypatch, 4000)
    driver.sweep()
    assert driver.recoveries(run) == ["wait_overdue"]
    assert driver.advance(run).outcome == "finished"
    error = {"code": "input_expired", "message": "input request for ask_human expired"}
    assert driver.record(run).error == error
    [request] = driver.stores.input_requests.of_run(run.id)
    assert request.state == "expired"


@pytest.mark.parametrize(("state", "name"), [("missing", ""), ("ended", "-1")])
def test_a_run_without_an_execution_gets_one(
    driver: SweptRuns, state: ExecutionState, name: str
) -> None:
    run = driver.start()
    driver.machine.states[run.id] = state
    driver.sweep()
    assert driver.machine.started == [run.id, run.id + name]
    assert driver.recoveries(run) == [f"execution_{state}"]
    driver.sweep()
    assert len(driver.machine.started) == 2
    assert driver.record(run).status == "created"
    assert driver.advance(run).outcome == "needs_input"
    assert driver.record(run).status == "started"


def test_a_started_execution_that_is_not_recorded_yet_is_not_replaced(
    driver: SweptRuns,
) -> None:
    run = driver.start()
    assert driver.advance(run).outcome == "needs_input"
    following = run.current_execution.next
    driver.machine.states[run.id] = "ended"
    driver.machine.start(following, WaitSpec(60, last_sequence=driver.stores.log.last(run.id)[0]))
    driver.sweep()
    assert driver.machine.started == [run.id, f"{run.id}-1"]
    assert driver.recoveries(run) == []
    assert ask(driver.stores, following, token_of(run))
    assert driver.record(run).current_execution == following
    # If it was lost before that, the next sequence number is used: an ended name is not reused.
    driver.machine.states[following.name] = driver.machine.states[f"{run.id}-2"] = "ended"
    driver.sweep()
    assert driver.machine.started[-1] == f"{run.id}-3"
    assert driver.recoveries(run) == ["execution_ended"]
    # The late execution neither requests input nor waits.
    assert not ask(driver.stores, following, "late")


def test_a_run_whose_executions_vanish_waits_until_its_limit(driver: SweptRuns) -> None:
    """Local machines are switched off more often than the limit of recoveries."""
    run = driver.waiting()
    for _ in range(MAX_LOST_EXECUTIONS + 2):
        driver.machine.states[run.id] = "missing"
        driver.sweep()
    assert driver.record(run).status == "paused"


def test_a_run_whose_executions_die_without_progress_fails(driver: SweptRuns) -> None:
    run = driver.start()
    for _ in range(MAX_LOST_EXECUTIONS + 1):
        assert not driver.record(run).has_ended
        driver.machine.states[driver.record(run).current_execution.name] = "ended"
        driver.sweep()
    error = driver.record(run).error
    assert error is not None
    assert error["code"] == "worker_lost"


def test_a_run_with_progress_may_lose_any_number_of_executions(driver: SweptRuns) -> None:
    run = driver.start()
    for _ in range(MAX_LOST_EXECUTIONS):
        driver.machine.states[driver.record(run).current_execution.name] = "ended"
        driver.sweep()
    driver.advance(run)
    assert ask(driver.stores, driver.record(run).current_execution, token_of(run))
    driver.machine.states[driver.record(run).current_execution.name] = "ended"
    driver.sweep()
    assert driver.record(run).status == "paused"
