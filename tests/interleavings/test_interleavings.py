"""Random interleavings of steps, answers, cancels, expiries, crashes and duplicate deliveries.

The store and the engine are the real ones; the state machine is played by the rules. After every
move each run it touched is held against what must always be true; at the end all of them end.
`make fuzz-runs` plays for longer.
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

from runyard.domain import clock
from runyard.domain.runs import Run
from runyard.engine.cancel_run import cancel_run
from runyard.engine.close_run import close_run
from runyard.engine.sweep_runs import sweep_runs
from tests.interleavings.agents import CASES, SECONDS_TO_ANSWER
from tests.interleavings.game import Game
from tests.interleavings.lossy_client import Mishap, Plan
from tests.interleavings.moved_clock import MovedClock
from tests.interleavings.moves import answer_request, move_execution, play_to_the_end
from tests.interleavings.played_machine import Execution

EXAMPLES = int(os.environ.get("RUNS_EXAMPLES", "12"))
MOVES = 40
MAX_RUNS, MAX_HELD = 3, 2

# Half of all processes are left alone.
_places = st.integers(-7, 8).map(lambda at: max(at, 0))
_losses: tuple[Mishap, ...] = ("lost before", "lost after")
_holds: tuple[Mishap, ...] = ("held before", "held after")
lossy_plans = st.builds(Plan, at=_places, mishap=st.sampled_from(_losses))
plans = st.builds(Plan, at=_places, mishap=st.sampled_from(_losses + _holds))
picks = st.integers(0, 7)


class Interleavings(RuleBasedStateMachine):
    """The rules. Each picks what it is about by a number, so that examples stay small."""

    game: Game

    @initialize(case=st.sampled_from(CASES), in_thread=st.booleans())
    def one_run(self, case: str, in_thread: bool) -> None:
        MovedClock.ahead = timedelta()
        self._begin(case, in_thread)

    @precondition(lambda self: len(self.game.runs) < MAX_RUNS)
    @rule(case=st.sampled_from(CASES), in_thread=st.booleans())
    def another_run(self, case: str, in_thread: bool) -> None:
        self._begin(case, in_thread)

    def _begin(self, case: str, in_thread: bool) -> None:
        self.game.check(self.game.begin(case, in_thread=in_thread))

    # --- the state machine -----------------------------------------------------------------------

    @precondition(lambda self: self._movable())
    @rule(pick=picks, plan=plans)
    def move(self, pick: int, plan: Plan) -> None:
        """An execution makes its next move."""
        movable = self._movable()
        execution = movable[pick % len(movable)]
        if plan.holds and len(self.game.held) >= MAX_HELD:
            plan = Plan()
        move_execution(self.game, execution, plan)
        self.game.check(self._run(execution.run_id))

    @precondition(lambda self: self._movable())
    @rule(pick=picks, plan=plans)
    def and_again(self, pick: int, plan: Plan) -> None:
        """The same, more often than the other rules: most examples should get somewhere."""
        self.move(pick, plan)

    @precondition(lambda self: self.game.held)
    @rule(pick=picks)
    def release(self, pick: int) -> None:
        """A process that was held up goes on."""
        held = self.game.held.pop(pick % len(self.game.held))
        held.release()
        self.game.check(self._run(held.run_id))

    @rule(pick=picks)
    def give_up_waiting(self, pick: int) -> None:
        """A task's own timeout: the machine tries again while the first attempt still lives."""
        execution = self._execution(pick)
        if execution and execution.place in ("AdvanceRun", "WaitForInput"):
            execution.move(execution.place)

    @rule(pick=picks, is_gone=st.booleans())
    def lose_an_execution(self, pick: int, is_gone: bool) -> None:
        """It vanishes, or is aborted and nobody hears of it."""
        names = [n for n, e in self.game.machine.executions.items() if e.place != "ended"]
        if names:
            name = names[pick % len(names)]
            self.game.machine.executions[name].move("ended")
            if is_gone:
                del self.game.machine.executions[name]

    # --- what else happens -----------------------------------------------------------------------

    @rule(pick=picks, which=picks, how=picks, plan=lossy_plans)
    def answer(self, pick: int, which: int, how: int, plan: Plan) -> None:
        """Mostly what is open; now and then what is settled already."""
        for offset in range(len(self.game.runs)):
            run = self._any_run(pick + offset)
            requests = self.game.stores.input_requests.of_run(run.id)
            waiting = [request for request in requests if request.state == "open"]
            if waiting or (requests and which % 2):
                among = waiting if waiting and which else requests
                answer_request(self.game, run, among[which % len(among)], how, plan)
                self.game.check(run)
                return

    @rule(pick=picks, which=picks, how=picks, plan=lossy_plans)
    def and_another_answer(self, pick: int, which: int, how: int, plan: Plan) -> None:
        self.answer(pick, which, how, plan)

    @precondition(lambda self: self.game.machine.is_waiting)
    @rule(seconds=st.sampled_from([1, SECONDS_TO_ANSWER, 2 * SECONDS_TO_ANSWER]))
    def time_passes(self, seconds: int) -> None:
        MovedClock.pass_by(seconds)

    @rule(pick=picks, plan=lossy_plans)
    def cancel(self, pick: int, plan: Plan) -> None:
        # Seldom: a canceled run has nothing more to tell.
        if pick < MAX_RUNS:
            run = self._any_run(pick)
            self.game.process(
                run.id, plan, lambda stores: cancel_run(stores, self.game.machine, run.id, "me")
            )
            self.game.check(run)

    @rule(pick=picks)
    def close(self, pick: int) -> None:
        if pick == 0:
            run = self._any_run(pick)
            close_run(self.game.stores, run.id, "States.Timeout")
            self.game.check(run)

    @rule(plan=lossy_plans)
    def sweep(self, plan: Plan) -> None:
        self.game.process(
            "", plan, lambda stores: _ignore(sweep_runs(stores, self.game.machine, everything=True))
        )
        for run in self.game.runs:
            self.game.check(run)

    @rule(pick=picks, plan=lossy_plans)
    def deliver_a_step_twice(self, pick: int, plan: Plan) -> None:
        run = self._any_run(pick)
        self.game.advance(run.id, plan, _ignore)
        self.game.check(run)

    @rule(pick=picks, plan=lossy_plans)
    def deliver_a_question_twice(self, pick: int, plan: Plan) -> None:
        if execution := self._execution(pick):
            token = execution.token or "an old token"
            self.game.ask(execution.run_id, token, execution.needs, plan, _ignore)
            self.game.check(self._run(execution.run_id))

    # --- the end ---------------------------------------------------------------------------------

    def teardown(self) -> None:
        try:
            for held in self.game.held:
                held.release()
            play_to_the_end(self.game)
        finally:
            MovedClock.ahead = timedelta()

    def _any_run(self, pick: int) -> Run:
        return self.game.runs[pick % len(self.game.runs)]

    def _run(self, run_id: str) -> Run:
        return next(run for run in self.game.runs if run.id == run_id)

    def _movable(self) -> list[Execution]:
        executions = self.game.machine.executions.values()
        return [one for one in executions if one.can_move(clock.now().timestamp())]

    def _execution(self, pick: int) -> Execution | None:
        live = [e for e in self.game.machine.executions.values() if e.place != "ended"]
        return live[pick % len(live)] if live else None


def _ignore(_: object) -> None:
    pass


@pytest.mark.timeout(0)
@pytest.mark.usefixtures("moved_clock")
def test_no_interleaving_breaks_a_run(new_game: Callable[[], Game]) -> None:
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
