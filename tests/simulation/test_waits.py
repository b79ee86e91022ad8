"""Waits for people, move by move: the last moment, the moment after, crashes at approvals."""

import json
from typing import Any

import pytest

from runyard_service.application.input_requests.submit_input import submit_input
from runyard_service.domain.errors import ConflictError
from runyard_service.domain.input_requests import Answer, InputRequest
from runyard_service.domain.runs import Run
from tests.simulation.actions import advance, play_to_the_end
from tests.simulation.agents import SECONDS_TO_ANSWER
from tests.simulation.fake_clock import FakeClock
from tests.simulation.lossy_client import FailureMode, FailurePlan
from tests.simulation.simulation import Simulation

pytestmark = pytest.mark.usefixtures("moved_clock")


def waiting(game: Simulation, case: str, **limits: Any) -> tuple[Run, list[InputRequest]]:
    """A run whose execution waits for a person, and what it asks."""
    run = game.begin(case, **limits)
    while game.machine.newest_of(run.id).place != "waiting":
        advance(game, run, FailurePlan())
    return run, game.stores.input_requests.open_of_run(run.id)


def answer(game: Simulation, request: InputRequest, **said: Any) -> None:
    given = Answer(type=request.type, request_id=request.id, **said)
    submit_input(game.stores, game.machine, request.run_id, given, "somebody")


def types(game: Simulation, run: Run) -> list[str]:
    return [event.type for event in game.stores.log.events(run.id)]


def test_an_answer_at_the_last_moment_counts(game: Simulation) -> None:
    run, (ever, soon) = waiting(game, "questions")
    FakeClock.move_forward(SECONDS_TO_ANSWER - 2)
    answer(game, soon, feedback={"n": 7})
    FakeClock.move_forward(5)
    # The timer of a moment ago fires all the same, and finds nothing that has expired.
    advance(game, run, FailurePlan())
    advance(game, run, FailurePlan())
    assert [one.id for one in game.stores.input_requests.open_of_run(run.id)] == [ever.id]
    assert "input_request.expired" not in types(game, run)
    play_to_the_end(game)
    assert types(game, run)[-1] == "run.completed"


def test_an_answer_after_the_time_changes_nothing_also_before_the_timer(game: Simulation) -> None:
    run, (_, soon) = waiting(game, "questions")
    FakeClock.move_forward(SECONDS_TO_ANSWER)
    before = types(game, run)
    with pytest.raises(ConflictError):
        answer(game, soon, feedback={"n": 7})
    assert types(game, run) == before
    FakeClock.move_forward(2)
    for _ in range(3):
        advance(game, run, FailurePlan())
    assert game.machine.newest_of(run.id).place == "waiting"
    assert types(game, run) == [*before, "input_request.expired"]
    with pytest.raises(ConflictError):
        answer(game, soon, feedback={"n": 7})
    game.check(run)


def test_a_run_waits_no_longer_than_its_limit_says(game: Simulation) -> None:
    run, requests = waiting(game, "questions", wait_seconds=SECONDS_TO_ANSWER // 2)
    assert {request.on_expiry for request in requests} == {"fail"}
    assert game.machine.newest_of(run.id).wait.seconds == SECONDS_TO_ANSWER // 2 + 1
    FakeClock.move_forward(SECONDS_TO_ANSWER // 2 + 2)
    advance(game, run, FailurePlan())
    advance(game, run, FailurePlan())
    assert types(game, run)[-3:] == ["input_request.expired"] * 2 + ["run.failed"]
    ended = game.stores.runs.get(run.id)
    assert ended is not None
    assert ended.error is not None
    assert ended.error["code"] == "input_expired"
    game.check(run)


def test_nobody_says_whether_a_limit_may_be_raised(game: Simulation) -> None:
    run, _ = waiting(game, "limit", wait_seconds=10)
    FakeClock.move_forward(12)
    advance(game, run, FailurePlan())
    advance(game, run, FailurePlan())
    ended = game.stores.runs.get(run.id)
    assert ended is not None
    assert ended.error == {
        "code": "input_expired",
        "message": "input request to raise a limit expired",
    }
    game.check(run)


def test_a_question_that_comes_twice_or_late_is_asked_once(game: Simulation) -> None:
    run, (ever, soon) = waiting(game, "questions")
    answer(game, ever, feedback="yes")
    answer(game, soon, feedback={"n": 1})
    # The worker has taken the answers up and is at work when the call of long ago comes again.
    advance(game, run, FailurePlan(2, "held after"))
    before = types(game, run)
    outcomes: list[str] = []
    played = game.machine.newest_of(run.id)
    game.ask(played.execution, "an old token", played.wait, FailurePlan(), outcomes.append)
    assert outcomes == ["goes on"]
    assert types(game, run) == before
    game.held.pop().release()
    play_to_the_end(game)
    assert types(game, run).count("run.paused") == 1
    assert "run.recovered" not in types(game, run)


# The step after the approval writes `run.resumed`, the denial, and the results of `note` and `pay`.
@pytest.mark.parametrize("mishap", ["lost before", "lost after"])
@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_what_runs_is_what_was_approved_also_after_a_crash(
    game: Simulation, at: int, mishap: FailureMode
) -> None:
    run, (pay, pay_soon) = waiting(game, "approvals")
    answer(game, pay_soon, is_approved=False)
    answer(game, pay, is_approved=True, params={"amount": 57})
    advance(game, run, FailurePlan(at, mishap))
    effective, doubts = {"amount": 57}, 0
    for _ in range(6):
        advance(game, run, FailurePlan())
        for request in game.stores.input_requests.open_of_run(run.id):
            doubts += 1
            assert request.params == {"choices": ["repeat", "skip", "fail"], "input": effective}
            assert request.tool["name"] == "pay"
            answer(game, request, feedback="repeat")
    assert types(game, run)[-1] == "run.completed"
    taken = {name: body for calls in game.till.taken.values() for name, body in calls}
    assert json.loads(taken["pay"]) == effective
    assert taken["pay"] == b'{"amount": 57}'
    assert "pay_soon" not in taken
    # What was approved, and by whom, is on record whatever came later.
    events = list(game.stores.log.events(run.id))
    resolved = [e.data for e in events if e.type == "approval_request.resolved"]
    assert resolved[1]["effective_params"] == effective
    assert resolved[1]["proposed_params"] == {"amount": 10}
    assert resolved[1]["answered_by"] == "somebody"
    (made,) = [
        event.data["input"]
        for event in events
        if event.type == "agent.tool_call.completed" and event.data["id"] == pay.tool_call_id
    ]
    assert made == effective
    assert doubts <= 1
    game.check(run)
