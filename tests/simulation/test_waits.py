"""Waits for people: answers before and after the expiry, and crashes at approvals."""

import json
from typing import Any

import pytest

from runyard_service.application.input_requests.submit_input import submit_input
from runyard_service.domain.input_requests import Answer, InputRequest
from runyard_service.domain.request_errors import ConflictError
from runyard_service.domain.runs import Run
from tests.simulation.actions import advance_run, run_to_end
from tests.simulation.agents import SECONDS_TO_ANSWER
from tests.simulation.fake_clock import FakeClock
from tests.simulation.lossy_client import FailureMode, FailurePlan
from tests.simulation.simulation import Simulation

pytestmark = pytest.mark.usefixtures("fake_clock")


def start_waiting_run(
    simulation: Simulation, case: str, **limits: Any
) -> tuple[Run, list[InputRequest]]:
    """Return a run whose execution waits, and its open input requests."""
    run = simulation.start(case, **limits)
    while not simulation.newest_execution(run.id).is_waiting:
        advance_run(simulation, run, FailurePlan())
    return run, simulation.stores.input_requests.open_of_run(run.id)


def answer(simulation: Simulation, request: InputRequest, **content: Any) -> None:
    response = Answer(type=request.type, request_id=request.id, **content)
    submit_input(simulation.stores, simulation.orchestrator, request.run_id, response, "user")


def types(simulation: Simulation, run: Run) -> list[str]:
    return [event.type for event in simulation.stores.log.events(run.id)]


def test_an_answer_just_before_the_expiry_is_accepted(simulation: Simulation) -> None:
    run, (open_ended, soon) = start_waiting_run(simulation, "two_requests")
    FakeClock.move_forward(SECONDS_TO_ANSWER - 2)
    answer(simulation, soon, feedback={"n": 7})
    FakeClock.move_forward(5)
    # The timeout still occurs, and finds no expired request.
    advance_run(simulation, run, FailurePlan())
    advance_run(simulation, run, FailurePlan())
    assert [one.id for one in simulation.stores.input_requests.open_of_run(run.id)] == [
        open_ended.id
    ]
    assert "input_request.expired" not in types(simulation, run)
    run_to_end(simulation)
    assert types(simulation, run)[-1] == "run.completed"


def test_an_answer_after_the_expiry_is_rejected_before_and_after_the_timeout(
    simulation: Simulation,
) -> None:
    run, (_, soon) = start_waiting_run(simulation, "two_requests")
    FakeClock.move_forward(SECONDS_TO_ANSWER)
    before = types(simulation, run)
    with pytest.raises(ConflictError):
        answer(simulation, soon, feedback={"n": 7})
    assert types(simulation, run) == before
    FakeClock.move_forward(2)
    for _ in range(3):
        advance_run(simulation, run, FailurePlan())
    assert simulation.newest_execution(run.id).is_waiting
    assert types(simulation, run) == [*before, "input_request.expired"]
    with pytest.raises(ConflictError):
        answer(simulation, soon, feedback={"n": 7})
    simulation.check(run)


def test_a_run_waits_no_longer_than_its_limit(simulation: Simulation) -> None:
    run, requests = start_waiting_run(
        simulation, "two_requests", wait_seconds=SECONDS_TO_ANSWER // 2
    )
    assert {request.on_expiry for request in requests} == {"fail"}
    assert simulation.newest_execution(run.id).input["wait_seconds"] == SECONDS_TO_ANSWER // 2 + 1
    FakeClock.move_forward(SECONDS_TO_ANSWER // 2 + 2)
    advance_run(simulation, run, FailurePlan())
    advance_run(simulation, run, FailurePlan())
    assert types(simulation, run)[-3:] == ["input_request.expired"] * 2 + ["run.failed"]
    ended = simulation.stores.runs.get(run.id)
    assert ended is not None
    assert ended.error is not None
    assert ended.error["code"] == "input_expired"
    simulation.check(run)


def test_a_run_fails_if_its_limit_is_not_raised_in_time(simulation: Simulation) -> None:
    run, _ = start_waiting_run(simulation, "limit", wait_seconds=10)
    FakeClock.move_forward(12)
    advance_run(simulation, run, FailurePlan())
    advance_run(simulation, run, FailurePlan())
    ended = simulation.stores.runs.get(run.id)
    assert ended is not None
    assert ended.error == {
        "code": "input_expired",
        "message": "input request to raise a limit expired",
    }
    simulation.check(run)


def test_a_late_duplicate_of_request_input_creates_no_second_request(
    simulation: Simulation,
) -> None:
    run, (open_ended, soon) = start_waiting_run(simulation, "two_requests")
    answer(simulation, open_ended, feedback="yes")
    answer(simulation, soon, feedback={"n": 1})
    # The worker has read the answers and runs when the old invocation is repeated.
    advance_run(simulation, run, FailurePlan(2, "suspended after"))
    before = types(simulation, run)
    errors: list[str] = []
    execution = simulation.newest_execution(run.id)
    payload = {**execution.input, "execution": execution.name, "task_token": "an old token"}
    simulation.invoke("request_input", payload, FailurePlan(), errors.append)
    assert errors == [""]
    assert simulation.stores.input_requests.token(run.id) != "an old token"
    assert types(simulation, run) == before
    simulation.suspended.pop().resume()
    run_to_end(simulation)
    assert types(simulation, run).count("run.paused") == 1
    assert "run.recovered" not in types(simulation, run)


# The step after the approval writes `run.resumed`, the denial, and the results of `note` and `pay`.
@pytest.mark.parametrize("failure_mode", ["lost before", "lost after"])
@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_an_approved_call_has_its_approved_parameters_after_a_crash(
    simulation: Simulation, at: int, failure_mode: FailureMode
) -> None:
    run, (pay, pay_soon) = start_waiting_run(simulation, "approvals")
    answer(simulation, pay_soon, is_approved=False)
    answer(simulation, pay, is_approved=True, params={"amount": 57})
    advance_run(simulation, run, FailurePlan(at, failure_mode))
    effective, doubts = {"amount": 57}, 0
    for _ in range(6):
        advance_run(simulation, run, FailurePlan())
        for request in simulation.stores.input_requests.open_of_run(run.id):
            doubts += 1
            assert request.params == {"choices": ["repeat", "skip", "fail"], "input": effective}
            assert request.tool["name"] == "pay"
            answer(simulation, request, feedback="repeat")
    assert types(simulation, run)[-1] == "run.completed"
    sent = {
        request.path.strip("/"): request.body
        for requests in simulation.payment_server.requests.values()
        for request in requests
    }
    assert json.loads(sent["pay"]) == effective
    assert sent["pay"] == b'{"amount": 57}'
    assert "pay_soon" not in sent
    # The log has the approved parameters and the person who approved them.
    events = list(simulation.stores.log.events(run.id))
    resolved = [e.data for e in events if e.type == "approval_request.resolved"]
    assert resolved[1]["effective_params"] == effective
    assert resolved[1]["proposed_params"] == {"amount": 10}
    assert resolved[1]["answered_by"] == "user"
    (made,) = [
        event.data["input"]
        for event in events
        if event.type == "agent.tool_call.completed" and event.data["id"] == pay.tool_call_id
    ]
    assert made == effective
    assert doubts <= 1
    simulation.check(run)
