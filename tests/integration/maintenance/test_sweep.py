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
from runyard_service.application.steps.advance_run import AdvanceResult, advance_run
from runyard_service.domain import clock, input_requests
from runyard_service.domain.input_requests import Answer
from runyard_service.domain.runs import Execution, Run
from runyard_service.event_loops import run_async
from tests.support.scripted_agents import ask, scripted_agent, scripted_worker


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


class Bench:
    """Runs of an agent with one input request, executed by the test."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores
        self.machine = ForgetfulMachine()
        self.worker = scripted_worker(stores)

    def waiting(self, *, expires_in: float | None = None, **limits: Any) -> Run:
        """Start a run that has an input request and waits with its token."""
        run = self.start(expires_in=expires_in, **limits)
        assert self.advance(run).outcome == "needs_input"
        assert ask(self.stores, run.current_execution, token_of(run))
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

    def advance(self, run: Run) -> AdvanceResult:
        """Run one invocation of run_step."""
        return run_async(advance_run(self.worker, self.record(run).current_execution, 700))

    def sweep(self) -> None:
        """Sweep everything."""
        sweep_runs(self.stores, self.machine, everything=True)

    def recoveries(self, run: Run) -> list[str]:
        """Return the reasons of the run's recoveries."""
        events = self.stores.log.events(run.id)
        return [event.data["reason"] for event in events if event.type == "run.recovered"]

    def record(self, run: Run) -> Run:
        """Return the stored record of the run."""
        found = self.stores.runs.get(run.id)
        assert found is not None
        return found


@pytest.fixture
def bench(stores: Stores) -> Iterator[Bench]:
    """Yield a bench; afterwards, all its runs must have ended correctly or are closed."""
    bench = Bench(stores)
    yield bench
    for name in bench.machine.states:
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
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, started = bench.start(), bench.waiting()
    assert left.id not in sweep_runs(bench.stores, bench.machine).not_started
    later(monkeypatch, 130)
    sweep = sweep_runs(bench.stores, bench.machine)
    assert left.id in sweep.not_started
    assert started.id not in sweep.not_started
    assert sweep.orphaned >= len(sweep.not_started)
    assert bench.recoveries(left) == []


def test_an_active_run_is_checked_once_and_then_left_to_its_worker(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = bench.start()
    Journal.open(bench.stores, run.id).start()
    assert run.id in set(at(bench.stores, 130))
    later(monkeypatch, 130)
    sweep = sweep_runs(bench.stores, bench.machine)
    assert run.id not in sweep.not_started
    due = {seconds: run.id in set(at(bench.stores, seconds)) for seconds in (940, 980)}
    assert due == {940: False, 980: True}
    assert bench.recoveries(run) == []


def test_an_answer_whose_resume_was_lost_is_resumed_once(bench: Bench) -> None:
    run = bench.waiting()
    [request] = bench.stores.input_requests.open_of_run(run.id)
    answer = Answer(type=request.type, request_id=request.id, feedback="yes")
    submit_input(bench.stores, bench.machine, run.id, answer, "user-1")
    bench.machine.resumed.clear()  # As if the answer had never arrived.
    for _ in range(2):
        bench.sweep()
    assert bench.machine.resumed.count(token_of(run)) == 2
    assert bench.recoveries(run) == ["answer_not_resumed"]
    assert bench.advance(run).outcome == "finished"
    assert bench.record(run).output == {"content": "yes"}


def test_an_expired_input_request_is_closed_without_its_timer(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = bench.waiting(expires_in=60)
    bench.sweep()
    later(monkeypatch, 100)  # The timer of the state machine may still fire.
    bench.sweep()
    assert token_of(run) not in bench.machine.resumed
    later(monkeypatch, 1000)
    bench.sweep()
    assert token_of(run) in bench.machine.resumed
    assert bench.recoveries(run) == ["wait_overdue"]
    assert bench.advance(run).outcome == "finished"
    assert bench.record(run).output == {"content": "unknown"}


def test_the_sweep_checks_a_wait_at_its_expiry_and_not_a_day_later(
    bench: Bench,
) -> None:
    run = bench.waiting(expires_in=60)
    due = {seconds: run.id in set(at(bench.stores, seconds)) for seconds in (100, 200)}
    assert due == {100: False, 200: True}
    bench.sweep()
    assert run.id in set(at(bench.stores, 200))
    patient = bench.waiting()
    assert patient.id not in set(at(bench.stores, 3600))


def at(stores: Stores, seconds: float) -> Iterator[str]:
    return stores.runs.due_for_check(clock.timestamp_in(seconds))


def test_a_run_without_an_answer_in_its_waiting_time_fails(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = bench.waiting(wait_seconds=3600)
    again = bench.advance(run)
    assert (again.outcome, 3590 < again.wait_seconds <= 3601) == ("needs_input", True)
    later(monkeypatch, 3000)
    assert 590 < bench.advance(run).wait_seconds <= 601
    later(monkeypatch, 4000)
    bench.sweep()
    assert bench.recoveries(run) == ["wait_overdue"]
    assert bench.advance(run).outcome == "finished"
    error = {"code": "input_expired", "message": "input request for ask_human expired"}
    assert bench.record(run).error == error
    [request] = bench.stores.input_requests.of_run(run.id)
    assert request.state == "expired"


@pytest.mark.parametrize(("state", "name"), [("missing", ""), ("ended", "-1")])
def test_a_run_without_an_execution_gets_one(
    bench: Bench, state: ExecutionState, name: str
) -> None:
    run = bench.start()
    bench.machine.states[run.id] = state
    bench.sweep()
    assert bench.machine.started == [run.id, run.id + name]
    assert bench.recoveries(run) == [f"execution_{state}"]
    bench.sweep()
    assert len(bench.machine.started) == 2
    assert bench.record(run).status == "created"
    assert bench.advance(run).outcome == "needs_input"
    assert bench.record(run).status == "started"


def test_a_started_execution_that_is_not_recorded_yet_is_not_replaced(
    bench: Bench,
) -> None:
    run = bench.start()
    assert bench.advance(run).outcome == "needs_input"
    following = run.current_execution.next
    bench.machine.states[run.id] = "ended"
    bench.machine.start(following, WaitSpec(60, last_sequence=bench.stores.log.last(run.id)[0]))
    bench.sweep()
    assert bench.machine.started == [run.id, f"{run.id}-1"]
    assert bench.recoveries(run) == []
    assert ask(bench.stores, following, token_of(run))
    assert bench.record(run).current_execution == following
    # If it was lost before that, the next sequence number is used: an ended name is not reused.
    bench.machine.states[following.name] = bench.machine.states[f"{run.id}-2"] = "ended"
    bench.sweep()
    assert bench.machine.started[-1] == f"{run.id}-3"
    assert bench.recoveries(run) == ["execution_ended"]
    # The late execution neither requests input nor waits.
    assert not ask(bench.stores, following, "late")


def test_a_run_whose_executions_vanish_waits_until_its_limit(bench: Bench) -> None:
    """Local machines are switched off more often than the limit of recoveries."""
    run = bench.waiting()
    for _ in range(MAX_LOST_EXECUTIONS + 2):
        bench.machine.states[run.id] = "missing"
        bench.sweep()
    assert bench.record(run).status == "paused"


def test_a_run_whose_executions_die_without_progress_fails(bench: Bench) -> None:
    run = bench.start()
    for _ in range(MAX_LOST_EXECUTIONS + 1):
        assert not bench.record(run).has_ended
        bench.machine.states[bench.record(run).current_execution.name] = "ended"
        bench.sweep()
    error = bench.record(run).error
    assert error is not None
    assert error["code"] == "worker_lost"


def test_a_run_with_progress_may_lose_any_number_of_executions(bench: Bench) -> None:
    run = bench.start()
    for _ in range(MAX_LOST_EXECUTIONS):
        bench.machine.states[bench.record(run).current_execution.name] = "ended"
        bench.sweep()
    bench.advance(run)
    assert ask(bench.stores, bench.record(run).current_execution, token_of(run))
    bench.machine.states[bench.record(run).current_execution.name] = "ended"
    bench.sweep()
    assert bench.record(run).status == "paused"
