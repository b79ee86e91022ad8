"""Random interleavings of steps, answers, cancels, expiries, crashes and duplicate deliveries.

The store and the engine are the real ones; the state machine is played by the rules. After every
move each run it touched is held against what must always be true; at the end all of them end.
`make fuzz-runs` plays for longer.
"""

import os
from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo
from functools import partial
from pathlib import Path
from typing import Any

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

from runyard.dev.clients import client
from runyard.dev.supervisor import REPOSITORY, LocalStack
from runyard.dev.template import read_template
from runyard.domain import clock
from runyard.domain.errors import ConflictError, InvalidRequestError
from runyard.domain.requests import Answer, InputRequest
from runyard.domain.runs import Run
from runyard.engine.advance_run import Advance
from runyard.engine.cancel_run import cancel_run
from runyard.engine.close_run import close_run
from runyard.engine.submit_input import submit_input
from runyard.engine.sweep_runs import sweep_runs
from runyard.store.stores import Stores
from tests.interleavings.agents import CASES, SECONDS_TO_ANSWER
from tests.interleavings.game import Game, StoresOver, Till
from tests.interleavings.lossy_client import Mishap, Plan
from tests.interleavings.played_machine import Execution
from tests.servers.loopback import LoopbackServer

EXAMPLES = int(os.environ.get("RUNS_EXAMPLES", "25"))
MOVES = 40
MAX_RUNS, MAX_HELD = 3, 2

# Half of all processes are left alone.
_places = st.integers(-7, 8).map(lambda at: max(at, 0))
_losses: tuple[Mishap, ...] = ("lost before", "lost after")
_holds: tuple[Mishap, ...] = ("held before", "held after")
lossy_plans = st.builds(Plan, at=_places, mishap=st.sampled_from(_losses))
plans = st.builds(Plan, at=_places, mishap=st.sampled_from(_losses + _holds))
picks = st.integers(0, 7)


class MovedClock(datetime):
    """A clock that can be moved forward."""

    ahead = timedelta()

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "MovedClock":
        """This moment, moved."""
        return super().now(tz) + cls.ahead


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
        MovedClock.ahead += timedelta(seconds=seconds)

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


def move_execution(game: Game, execution: Execution, plan: Plan) -> None:
    """What the state machine does next with it; nothing while it waits."""
    moves = execution.moves

    def is_current() -> bool:
        return execution.moves == moves

    def advanced(advance: Advance | None) -> None:
        if advance and is_current():
            execution.needs = advance
            places = {"more": "AdvanceRun", "needs_input": "WaitForInput", "finished": "ended"}
            execution.move(places[advance.outcome])  # type: ignore[arg-type]

    def asked(outcome: str) -> None:
        if not is_current():
            return
        if outcome == "waits":
            execution.times_out_at = clock.now().timestamp() + execution.needs.wait_seconds
            execution.place = "waiting"
        else:
            execution.token = ""
            execution.move("AdvanceRun" if outcome == "goes on" else "WaitForInput")

    if execution.place == "AdvanceRun":
        game.advance(execution.run_id, plan, advanced)
    elif execution.place == "WaitForInput":
        token = game.machine.new_token(execution)
        game.ask(execution.run_id, token, execution.needs, plan, asked)
    elif execution.can_move(clock.now().timestamp()):
        execution.token = ""
        execution.move("AdvanceRun")


def answer_request(game: Game, run: Run, request: InputRequest, how: int, plan: Plan) -> None:
    """Answer a question, in one of several ways; asked before or not, in time or not."""
    answer, recorded = _answer(request, how)
    is_late = request.is_overdue or request.state in ("expired", "void")
    other = request.id in game.accepted and game.accepted[request.id] != recorded
    try:
        ended = game.process(
            run.id,
            plan,
            lambda stores: submit_input(stores, game.machine, run.id, answer, "somebody"),
        )
    except (ConflictError, InvalidRequestError):
        assert is_late or other or request.state == "answered" or _has_ended(game, run)
        return
    assert not is_late
    assert not other
    if ended:
        game.accepted[request.id] = recorded


def _has_ended(game: Game, run: Run) -> bool:
    current = game.stores.runs.get(run.id)
    return current is not None and current.has_ended


def _answer(request: InputRequest, how: int) -> tuple[Answer, dict[str, Any]]:
    made = partial(Answer, type=request.type, request_id=request.id)
    if request.type == "approval_request":
        name = "raised_to" if request.tool_call_id is None else "amount"
        edits = {name: 50 + how} if how % 2 and name in request.editable_params else None
        approves = how != 0
        recorded = {
            "is_approved": approves,
            "effective_params": {**request.params, **(edits or {})},
        }
        return made(is_approved=approves, params=edits), recorded
    feedback: Any = f"answer {how % 2}"
    if choices := request.params.get("choices"):
        feedback = choices[how % len(choices)]
    if "form" in request.params:
        feedback = {"n": how % 2}
    return made(feedback=feedback), {"feedback": feedback}


def play_to_the_end(game: Game) -> None:
    """Nothing goes wrong any more: the sweep finds what was lost, people answer, all runs end."""
    for _ in range(60):
        sweep_runs(game.stores, game.machine, everything=True)
        for execution in list(game.machine.executions.values()):
            if execution.place != "ended":
                move_execution(game, execution, Plan())
        live = [run for run in game.runs if not _has_ended(game, run)]
        if not live:
            break
        for run in live:
            for request in game.stores.input_requests.open_of_run(run.id):
                if not request.is_overdue:
                    answer_request(game, run, request, 0, Plan())
        MovedClock.ahead += timedelta(seconds=1)
    for run in game.runs:
        game.check(run)
        assert _has_ended(game, run)


@pytest.fixture(scope="module")
def stores_over(stack: LocalStack) -> Iterator[tuple[Any, StoresOver]]:
    """The store's client, and stores over clients, on tables that no other test sweeps."""
    dynamodb = stack.client("dynamodb")
    template = read_template(Path(REPOSITORY) / "template.yaml", region="us-east-1")
    environment = stack.environment
    names = {}
    for table in template.tables:
        names[table.name] = f"{table.name}-interleavings"
        dynamodb.create_table(**{**table.arguments, "TableName": names[table.name]})

    def over(faulty: Any) -> Stores:
        return Stores.create(
            faulty,
            stack.client("s3"),
            events_table=names[environment["EVENTS_TABLE"]],
            records_table=names[environment["RECORDS_TABLE"]],
            bucket=environment["BUCKET"],
        )

    yield client("dynamodb", environment), over
    for name in names.values():
        dynamodb.delete_table(TableName=name)


@pytest.mark.timeout(0)
def test_no_interleaving_breaks_a_run(
    stores_over: tuple[Any, StoresOver], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The one place where the service reads the clock: no port is needed to move it.
    monkeypatch.setattr(clock, "datetime", MovedClock)
    till = Till()
    with LoopbackServer(till) as server:

        class OnThisStore(Interleavings):
            def __init__(self) -> None:
                super().__init__()
                self.game = Game(*stores_over, till, server)

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
