"""What is done in a game: the machine's next move, a person's answer, the end of everything."""

from functools import partial
from typing import Any

from runyard_service.application.input_requests.submit_input import submit_input
from runyard_service.application.maintenance.sweep_runs import sweep_runs
from runyard_service.domain import clock
from runyard_service.domain.errors import ConflictError, InvalidRequestError
from runyard_service.domain.input_requests import Answer, InputRequest
from runyard_service.domain.runs import Run
from tests.simulation.fake_clock import FakeClock
from tests.simulation.lossy_client import FailurePlan
from tests.simulation.simulated_state_machine import SimulatedExecution
from tests.simulation.simulation import Simulation


def advance(game: Simulation, run: Run, plan: FailurePlan) -> None:
    """What the newest of the run's executions does next."""
    move_execution(game, game.machine.newest_of(run.id), plan)


def move_execution(game: Simulation, played: SimulatedExecution, plan: FailurePlan) -> None:
    """What the state machine does next with it; nothing while it waits."""
    moves = played.moves

    def is_current() -> bool:
        return played.moves == moves

    def advanced(succeeded: bool) -> None:
        if succeeded and is_current():
            played.move("ended")

    def asked(outcome: str) -> None:
        if not is_current():
            return
        if outcome == "waits":
            played.times_out_at = clock.now().timestamp() + played.wait.seconds
            played.place = "waiting"
        else:
            played.token = ""
            played.move("AdvanceRun" if outcome == "goes on" else "WaitForInput")

    if played.place == "AdvanceRun":
        game.advance(played.execution, plan, advanced)
    elif played.place == "WaitForInput":
        token = game.machine.new_token(played)
        game.ask(played.execution, token, played.wait, plan, asked)
    elif played.can_move(clock.now().timestamp()):
        played.token = ""
        played.move("AdvanceRun")


def answer_request(
    game: Simulation, run: Run, request: InputRequest, how: int, plan: FailurePlan
) -> None:
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
        assert is_late or other or request.state == "answered" or has_ended(game, run)
        return
    assert not is_late
    assert not other
    if ended:
        game.accepted[request.id] = recorded


def has_ended(game: Simulation, run: Run) -> bool:
    current = game.stores.runs.get(run.id)
    return current is not None and current.has_ended


def _answer(request: InputRequest, how: int) -> tuple[Answer, dict[str, Any]]:
    made = partial(Answer, type=request.type, request_id=request.id)
    if request.type == "approval_request":
        name = "new_limit" if request.tool_call_id is None else "amount"
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


def play_to_the_end(game: Simulation) -> None:
    """Nothing goes wrong any more: the sweep finds what was lost, people answer, all runs end."""
    for _ in range(60):
        sweep_runs(game.stores, game.machine, everything=True)
        for execution in list(game.machine.executions.values()):
            if execution.place != "ended":
                move_execution(game, execution, FailurePlan())
        live = [run for run in game.runs if not has_ended(game, run)]
        if not live:
            break
        for run in live:
            for request in game.stores.input_requests.open_of_run(run.id):
                if not request.is_overdue:
                    answer_request(game, run, request, 0, FailurePlan())
        FakeClock.move_forward(1)
    for run in game.runs:
        game.check(run)
        assert has_ended(game, run)
