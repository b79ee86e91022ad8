"""Random interleavings of steps, answers, cancels, expiries, crashes and duplicate deliveries.

The store and the use cases are the real ones; the state machines are simulated. After every rule,
the invariants of each changed run are checked; at the end all runs must end. `make simulate` runs
more examples.
"""

import os
from collections.abc import Callable
from datetime import timedelta

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from runyard_service.application.runs.cancel_run import cancel_run
from runyard_service.application.runs.close_run import close_run
from runyard_service.domain.runs import Run
from tests.simulation.actions import (
    FUNCTION_TIMEOUT,
    advance_execution,
    answer_request,
    run_to_end,
)
from tests.simulation.agents import CASES, SECONDS_TO_ANSWER
from tests.simulation.fake_clock import FakeClock
from tests.simulation.lossy_client import FailureMode, FailurePlan
from tests.simulation.simulation import Simulation
from tests.support.state_machines import Execution

EXAMPLES = int(os.environ.get("RUNS_EXAMPLES", "6"))
RULES_PER_EXAMPLE = 40
MAX_RUNS, MAX_SUSPENDED = 3, 2

# One process in three has no failure. Most of the others fail at their second to sixth write.
_writes = st.sampled_from([0, 0, 0, 1, 2, 3, 4, 5, 6])
LOST: tuple[FailureMode, ...] = ("lost before", "lost after")
SUSPENDED: tuple[FailureMode, ...] = ("suspended before", "suspended after")
lossy_plans = st.builds(FailurePlan, at=_writes, failure_mode=st.sampled_from(LOST))
plans = st.builds(FailurePlan, at=_writes, failure_mode=st.sampled_from(LOST + SUSPENDED))
picks = st.integers(0, 7)


class Interleavings(RuleBasedStateMachine):
    """The rules. Each selects its run or execution by a number, so that examples stay small."""

    simulation: Simulation

    @initialize(case=st.sampled_from(CASES), in_thread=st.booleans())
    def start_first_run(self, case: str, in_thread: bool) -> None:
        FakeClock.ahead = timedelta()
        self._start(case, in_thread)

    @precondition(lambda self: len(self.simulation.runs) < MAX_RUNS)
    @rule(case=st.sampled_from(CASES), in_thread=st.booleans())
    def start_another_run(self, case: str, in_thread: bool) -> None:
        self._start(case, in_thread)

    def _start(self, case: str, in_thread: bool) -> None:
        self.simulation.check(self.simulation.start(case, in_thread=in_thread))

    # --- the state machines ----------------------------------------------------------------------

    @precondition(lambda self: self.can_advance())
    @rule(pick=picks, before=st.integers(0, 2), plan=plans)
    def advance(self, pick: int, before: int, plan: FailurePlan) -> None:
        """Advance an execution several times; the last time may fail."""
        advancing = self._advancing()
        execution = advancing[pick % len(advancing)]
        if plan.suspends and len(self.simulation.suspended) >= MAX_SUSPENDED:
            plan = FailurePlan()
        for next_plan in (*[FailurePlan()] * before, plan):
            advance_execution(self.simulation, execution, next_plan)
        self.simulation.check(self._run_of(execution))

    @precondition(lambda self: self.simulation.suspended)
    @rule(pick=picks)
    def resume(self, pick: int) -> None:
        """Resume a suspended process."""
        self.simulation.count("resumed processes")
        suspended = self.simulation.suspended.pop(pick % len(self.simulation.suspended))
        suspended.resume()
        self.simulation.check(self._run(suspended.run_id))

    @rule(pick=picks, failure=st.sampled_from(["times out", "is aborted", "vanishes"]))
    def fail_execution(self, pick: int, failure: str) -> None:
        """Time out a task whose process lives on; or end an execution without a report."""
        if not (execution := self._active(pick)):
            return
        machines = self.simulation.state_machines
        self.simulation.count("failed executions")
        if failure == "times out":
            if execution.task:
                machines.finish_task(execution, execution.task, FUNCTION_TIMEOUT)
            return
        machines.stop_execution(execution)
        if failure == "vanishes":
            del machines.executions[execution.name]

    @rule(calls=st.integers(1, 4))
    def make_busy(self, calls: int) -> None:
        """Let the next calls of the idempotent tool fail: up to the last attempt, or beyond."""
        self.simulation.make_busy(calls)

    # --- other actions ---------------------------------------------------------------------------

    @precondition(lambda self: self.simulation.waiting_executions)
    @rule(pick=picks, choice=picks, only=st.one_of(st.none(), picks), plan=lossy_plans)
    def answer(self, pick: int, choice: int, only: int | None, plan: FailurePlan) -> None:
        """Answer all open requests of a waiting run, or one request of any run in any state."""
        waiting = self.simulation.waiting_executions
        run = self._run_of(waiting[pick % len(waiting)])
        requests = self.simulation.stores.input_requests.open_of_run(run.id)
        if only is not None:
            run = self._any_run(pick)
            requests = self.simulation.stores.input_requests.of_run(run.id)
            requests = [requests[only % len(requests)]] if requests else []
        for request in requests:
            answer_request(self.simulation, run, request, choice, plan)
        self.simulation.check(run)

    @precondition(lambda self: self.simulation.waiting_executions)
    @rule(seconds=st.sampled_from([1, SECONDS_TO_ANSWER, 2 * SECONDS_TO_ANSWER]))
    def pass_time(self, seconds: int) -> None:
        self.simulation.count("clock changes")
        FakeClock.move_forward(seconds)

    @rule(pick=picks, chance=st.integers(0, 9), plan=lossy_plans)
    def end_run(self, pick: int, chance: int, plan: FailurePlan) -> None:
        """Cancel or close a run. This is rare, because an ended run has few more actions."""
        run = self._any_run(pick)
        orchestrator = self.simulation.orchestrator
        if chance == 1:
            self.simulation.count("cancels")
            self.simulation.run_process(
                run.id, plan, lambda stores: cancel_run(stores, orchestrator, run.id, "user")
            )
        elif chance == 2:
            self.simulation.count("closed runs")
            self.simulation.run_process(
                run.id,
                plan,
                lambda stores: close_run(
                    stores, self._record(run).current_execution, "States.Timeout"
                ),
            )
        self.simulation.check(run)

    @rule(plan=lossy_plans)
    def sweep(self, plan: FailurePlan) -> None:
        self.simulation.sweep(plan)
        for run in self.simulation.runs:
            self.simulation.check(run)

    @rule(pick=picks, is_step=st.booleans(), plan=lossy_plans)
    def deliver_duplicate(self, pick: int, is_step: bool, plan: FailurePlan) -> None:
        """Repeat an invocation of run_step, or of request_input with its former payload."""
        if execution := self._active(pick):
            payload = {
                "limit": "",
                "last_sequence": 0,
                **execution.input,
                "execution": execution.name,
                "task_token": execution.token or "an old token",
            }
            self.simulation.invoke("run_step" if is_step else "request_input", payload, plan)
            self.simulation.check(self._run_of(execution))

    # --- the end ---------------------------------------------------------------------------------

    def teardown(self) -> None:
        try:
            for suspended in self.simulation.suspended:
                suspended.resume()
            run_to_end(self.simulation)
        finally:
            FakeClock.ahead = timedelta()

    def can_advance(self) -> bool:
        """Return True if an execution can advance now."""
        return bool(self._advancing())

    def _advancing(self) -> list[Execution]:
        active = self.simulation.active_executions
        return [one for one in active if one.is_runnable or one.is_overdue]

    def _active(self, pick: int) -> Execution | None:
        active = self.simulation.active_executions
        return active[pick % len(active)] if active else None

    def _any_run(self, pick: int) -> Run:
        return self.simulation.runs[pick % len(self.simulation.runs)]

    def _run_of(self, execution: Execution) -> Run:
        return self._run(execution.input["run_id"])

    def _run(self, run_id: str) -> Run:
        return next(run for run in self.simulation.runs if run.id == run_id)

    def _record(self, run: Run) -> Run:
        found = self.simulation.stores.runs.get(run.id)
        assert found is not None
        return found


@pytest.mark.timeout(0)
@pytest.mark.usefixtures("fake_clock")
def test_no_interleaving_breaks_a_run(new_simulation: Callable[[], Simulation]) -> None:
    class InterleavingsOnStore(Interleavings):
        def __init__(self) -> None:
            super().__init__()
            self.simulation = new_simulation()

    run_state_machine_as_test(
        InterleavingsOnStore,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=RULES_PER_EXAMPLE,
            derandomize="RUNS_EXAMPLES" not in os.environ,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
