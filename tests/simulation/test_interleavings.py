"""Random interleavings of steps, answers, cancels, expiries, crashes and duplicate deliveries.

The store and the engine are the real ones; the state machine is played by the rules. After every
move each run it touched is held against what must always be true; at the end all of them end.
`make simulate` plays for longer.
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

from runyard_service.application.maintenance.sweep_runs import sweep_runs
from runyard_service.application.runs.cancel_run import cancel_run
from runyard_service.application.runs.close_run import close_run
from runyard_service.domain import clock
from runyard_service.domain.runs import Run
from tests.simulation.actions import answer_request, move_execution, play_to_the_end
from tests.simulation.agents import CASES, SECONDS_TO_ANSWER
from tests.simulation.fake_clock import FakeClock
from tests.simulation.lossy_client import FailureMode, FailurePlan
from tests.simulation.simulated_state_machine import SimulatedExecution
from tests.simulation.simulation import Simulation

EXAMPLES = int(os.environ.get("RUNS_EXAMPLES", "6"))
MOVES = 40
MAX_RUNS, MAX_HELD = 3, 2

# One process in three is left alone. Most do their last write as the second to sixth.
_places = st.sampled_from([0, 0, 0, 1, 2, 3, 4, 5, 6])
_losses: tuple[FailureMode, ...] = ("lost before", "lost after")
_holds: tuple[FailureMode, ...] = ("held before", "held after")
lossy_plans = st.builds(FailurePlan, at=_places, mishap=st.sampled_from(_losses))
plans = st.builds(FailurePlan, at=_places, mishap=st.sampled_from(_losses + _holds))
picks = st.integers(0, 7)


class Interleavings(RuleBasedStateMachine):
    """The rules. Each picks what it is about by a number, so that examples stay small."""

    game: Simulation

    @initialize(case=st.sampled_from(CASES), in_thread=st.booleans())
    def one_run(self, case: str, in_thread: bool) -> None:
        FakeClock.ahead = timedelta()
        self._begin(case, in_thread)

    @precondition(lambda self: len(self.game.runs) < MAX_RUNS)
    @rule(case=st.sampled_from(CASES), in_thread=st.booleans())
    def another_run(self, case: str, in_thread: bool) -> None:
        self._begin(case, in_thread)

    def _begin(self, case: str, in_thread: bool) -> None:
        self.game.check(self.game.begin(case, in_thread=in_thread))

    # --- the state machine -----------------------------------------------------------------------

    @precondition(lambda self: self._movable())
    @rule(pick=picks, before=st.integers(0, 2), plan=plans)
    def move(self, pick: int, before: int, plan: FailurePlan) -> None:
        """An execution makes its next moves; something may go wrong in the last of them."""
        movable = self._movable()
        played = movable[pick % len(movable)]
        if plan.holds and len(self.game.held) >= MAX_HELD:
            plan = FailurePlan()
        for this in (*[FailurePlan()] * before, plan):
            move_execution(self.game, played, this)
        self.game.check(self._run(played.execution.run_id))

    @precondition(lambda self: self.game.held)
    @rule(pick=picks)
    def release(self, pick: int) -> None:
        """A process that was held up goes on."""
        held = self.game.held.pop(pick % len(self.game.held))
        held.release()
        self.game.check(self._run(held.run_id))

    @rule(pick=picks, trouble=st.sampled_from(["times out", "is aborted", "vanishes"]))
    def lose_an_execution(self, pick: int, trouble: str) -> None:
        """One attempt times out while it lives on; or the whole execution is gone, and nobody hears
        of it.
        """
        names = [n for n, e in self.game.machine.executions.items() if e.place != "ended"]
        if not names:
            return
        name = names[pick % len(names)]
        played = self.game.machine.executions[name]
        if trouble == "times out":
            if played.place in ("AdvanceRun", "WaitForInput"):
                played.move(played.place)
            return
        played.move("ended")
        if trouble == "vanishes":
            del self.game.machine.executions[name]

    # --- what else happens -----------------------------------------------------------------------

    @precondition(lambda self: self.game.machine.is_waiting)
    @rule(pick=picks, how=picks, only=st.one_of(st.none(), picks), plan=lossy_plans)
    def answer(self, pick: int, how: int, only: int | None, plan: FailurePlan) -> None:
        """Answer all that a waiting run asks, or one question of any run, settled or not."""
        waiting = [e for e in self.game.machine.executions.values() if e.place == "waiting"]
        run = self._run(waiting[pick % len(waiting)].execution.run_id)
        requests = self.game.stores.input_requests.open_of_run(run.id)
        if only is not None:
            run = self._any_run(pick)
            requests = self.game.stores.input_requests.of_run(run.id)
            requests = [requests[only % len(requests)]] if requests else []
        for request in requests:
            answer_request(self.game, run, request, how, plan)
        self.game.check(run)

    @precondition(lambda self: self.game.machine.is_waiting)
    @rule(seconds=st.sampled_from([1, SECONDS_TO_ANSWER, 2 * SECONDS_TO_ANSWER]))
    def time_passes(self, seconds: int) -> None:
        FakeClock.move_forward(seconds)

    @rule(pick=picks, seldom=st.integers(0, 9), plan=lossy_plans)
    def end_from_outside(self, pick: int, seldom: int, plan: FailurePlan) -> None:
        """A cancel, or the machine's CloseRun; seldom, for such a run has nothing more to tell."""
        run = self._any_run(pick)
        if seldom == 1:
            self.game.process(
                run.id, plan, lambda stores: cancel_run(stores, self.game.machine, run.id, "me")
            )
        elif seldom == 2:
            self.game.process(
                run.id,
                plan,
                lambda stores: close_run(
                    stores, self._record(run).current_execution, "States.Timeout"
                ),
            )
        self.game.check(run)

    @rule(plan=lossy_plans)
    def sweep(self, plan: FailurePlan) -> None:
        self.game.process(
            "", plan, lambda stores: _ignore(sweep_runs(stores, self.game.machine, everything=True))
        )
        for run in self.game.runs:
            self.game.check(run)

    @rule(pick=picks, is_step=st.booleans(), plan=lossy_plans)
    def deliver_twice(self, pick: int, is_step: bool, plan: FailurePlan) -> None:
        """An invocation comes again: of run_step, or of request_input with what was true then."""
        if played := self._played(pick):
            execution, token = played.execution, played.token or "an old token"
            if is_step:
                self.game.advance(execution, plan, _ignore)
            else:
                self.game.ask(execution, token, played.wait, plan, _ignore)
            self.game.check(self._run(execution.run_id))

    # --- the end ---------------------------------------------------------------------------------

    def teardown(self) -> None:
        try:
            for held in self.game.held:
                held.release()
            play_to_the_end(self.game)
        finally:
            FakeClock.ahead = timedelta()

    def _any_run(self, pick: int) -> Run:
        return self.game.runs[pick % len(self.game.runs)]

    def _run(self, run_id: str) -> Run:
        return next(run for run in self.game.runs if run.id == run_id)

    def _record(self, run: Run) -> Run:
        found = self.game.stores.runs.get(run.id)
        assert found is not None
        return found

    def _movable(self) -> list[SimulatedExecution]:
        executions = self.game.machine.executions.values()
        return [one for one in executions if one.can_move(clock.now().timestamp())]

    def _played(self, pick: int) -> SimulatedExecution | None:
        live = [e for e in self.game.machine.executions.values() if e.place != "ended"]
        return live[pick % len(live)] if live else None


def _ignore(_: object) -> None:
    pass


@pytest.mark.timeout(0)
@pytest.mark.usefixtures("moved_clock")
def test_no_interleaving_breaks_a_run(new_game: Callable[[], Simulation]) -> None:
    class OnThisStore(Interleavings):
        def __init__(self) -> None:
            super().__init__()
            self.game = new_game()

    run_state_machine_as_test(
        OnThisStore,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=MOVES,
            derandomize="RUNS_EXAMPLES" not in os.environ,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
