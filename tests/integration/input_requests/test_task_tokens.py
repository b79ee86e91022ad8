"""Test answers and task tokens: answers are recorded first; stale tokens do no harm."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from runyard.cli.verify_stores import find_run_violations
from runyard_dev.dev_stack import DevStack
from runyard_service.domain.events import encode_event
from tests.crashes.api import ApiClient
from tests.crashes.crash_harness import CrashHarness
from tests.crashes.scenario_run import ScenarioRun
from tests.crashes.scenarios import scenario

RECEIVED = "agent.human_feedback.received"


@pytest.fixture(scope="module")
def api(crash_stack: DevStack, harness: CrashHarness) -> ApiClient:
    """Return the Runs API."""
    return ApiClient(crash_stack)


@pytest.fixture
def asked(harness: CrashHarness) -> ScenarioRun:
    """Return a run that waits for two input requests."""
    scenario_run = ScenarioRun(harness, scenario("two input requests"))
    scenario_run.start()
    scenario_run.run_until_idle()
    assert len(scenario_run.open_requests()) == 2
    return scenario_run


def assert_completed(scenario_run: ScenarioRun, answers: int = 2) -> None:
    run = scenario_run.run
    assert run is not None
    assert run.status == "completed"
    assert scenario_run.types.count(RECEIVED) == answers
    assert find_run_violations(scenario_run.harness.stores, scenario_run.run_id) == []


def answer_all(api: ApiClient, scenario_run: ScenarioRun, feedback: str = "yes") -> None:
    for request in scenario_run.open_requests():
        assert api.answer(scenario_run, request, feedback=feedback).status_code == 200


def test_an_answer_before_its_input_request_is_rejected(
    harness: CrashHarness, api: ApiClient
) -> None:
    scenario_run = ScenarioRun(harness, scenario("two input requests"))
    seen: list[int] = []
    invoke = scenario_run.invoke

    def looking(function: str, payload: Any, **options: Any) -> Any:
        if function == "request_input":
            seen.append(len(scenario_run.open_requests()))
        return invoke(function, payload, **options)

    scenario_run.invoke = looking  # type: ignore[method-assign]
    scenario_run.execute()
    assert seen == [0]
    assert_completed(scenario_run)


def test_an_answer_may_arrive_before_request_input_returns(
    harness: CrashHarness, api: ApiClient
) -> None:
    scenario_run = ScenarioRun(harness, scenario("two input requests"))
    invoke = scenario_run.invoke

    def answering(function: str, payload: Any, **options: Any) -> Any:
        result = invoke(function, payload, **options)
        if function == "request_input":
            answer_all(api, scenario_run)
        return result

    scenario_run.invoke = answering  # type: ignore[method-assign]
    scenario_run.execute()
    assert_completed(scenario_run)
    assert scenario_run.recoveries.sweep == 0


def test_an_answer_may_arrive_before_the_task_token_is_stored(
    harness: CrashHarness, api: ApiClient, asked: ScenarioRun
) -> None:
    """The execution vanished, and its successor does not wait yet."""
    harness.state_machines.executions.pop(asked.executions[-1].name)
    answer_all(api, asked)
    assert asked.run is not None
    assert asked.run.status == "paused"
    asked.run_until_idle()
    assert_completed(asked)


def test_an_answer_between_storing_the_token_and_reading_the_answers_resumes_the_run(
    harness: CrashHarness, api: ApiClient, asked: ScenarioRun
) -> None:
    harness.state_machines.executions.pop(asked.executions[-1].name)
    asked.sweep()
    invoke = asked.invoke

    def answering(function: str, payload: Any, **options: Any) -> Any:
        if function == "request_input":
            answer_all(api, asked)
        return invoke(function, payload, **options)

    asked.invoke = answering  # type: ignore[method-assign]
    asked.run_until_idle()
    assert_completed(asked)


def at_once(
    api: ApiClient, scenario_run: ScenarioRun, answers: list[Mapping[str, Any]]
) -> list[int]:
    """Send answers to the first input request concurrently; return the statuses."""
    request = scenario_run.open_requests()[0]

    def send(data: Mapping[str, Any]) -> int:
        return api.answer(scenario_run, request, **data).status_code

    with ThreadPoolExecutor(len(answers)) as pool:
        return list(pool.map(send, answers))


def test_only_one_of_two_concurrent_different_answers_is_recorded(
    api: ApiClient, asked: ScenarioRun
) -> None:
    statuses = at_once(api, asked, [{"feedback": "left"}, {"feedback": "right"}])
    assert sorted(statuses) == [200, 409]
    answer_all(api, asked)
    asked.run_until_idle()
    assert_completed(asked)


def test_two_concurrent_equal_answers_are_accepted_and_recorded_once(
    api: ApiClient, asked: ScenarioRun
) -> None:
    assert at_once(api, asked, [{"feedback": "same"}] * 2) == [200, 200]
    answer_all(api, asked)
    asked.run_until_idle()
    assert_completed(asked)


def test_concurrent_answers_to_both_input_requests_resume_the_run(
    api: ApiClient, asked: ScenarioRun
) -> None:
    requests = asked.open_requests()
    with ThreadPoolExecutor(2) as pool:
        sent = pool.map(lambda one: api.answer(asked, one, feedback="x").status_code, requests)
        assert list(sent) == [200, 200]
    asked.run_until_idle()
    assert_completed(asked)
    assert asked.recoveries.sweep == 0


@pytest.mark.parametrize("who", ["the same answer", "the sweep"])
def test_an_answer_whose_resume_call_fails_is_stored_and_resumed_by(
    harness: CrashHarness, api: ApiClient, asked: ScenarioRun, who: str
) -> None:
    last = asked.open_requests()[-1]
    harness.state_machines.failing_calls = 1
    answer_all(api, asked)
    assert asked.types[-1] == RECEIVED
    assert any(execution.is_waiting for execution in asked.executions)
    if who == "the same answer":
        assert api.answer(asked, last, feedback="yes").status_code == 200
    else:
        asked.sweep()
    assert not any(execution.is_waiting for execution in asked.executions)
    asked.run_until_idle()
    assert_completed(asked)


def test_the_same_answer_is_accepted_again_and_a_different_answer_is_rejected(
    api: ApiClient, asked: ScenarioRun
) -> None:
    first, second = asked.open_requests()
    for _ in range(2):
        assert api.answer(asked, first, feedback="yes").status_code == 200
    rejected = api.answer(asked, first, feedback="no")
    assert rejected.status_code == 409
    assert "was already answered by key_" in rejected.text
    assert api.answer(asked, second, feedback="yes").status_code == 200
    asked.run_until_idle()
    # The answer is also accepted after the run has ended.
    assert api.answer(asked, second, feedback="yes").status_code == 200
    assert api.answer(asked, second, feedback="no").status_code == 409
    assert_completed(asked)


def test_an_answer_after_a_cancel_is_rejected(api: ApiClient, asked: ScenarioRun) -> None:
    request = asked.open_requests()[0]
    assert api.cancel(asked).status_code == 200
    rejected = api.answer(asked, request, feedback="yes")
    assert rejected.status_code == 400
    assert rejected.json()["error"]["details"] == {"run": "has ended: canceled"}
    asked.run_until_idle()
    assert asked.types[-1] == "run.canceled"
    assert find_run_violations(asked.harness.stores, asked.run_id) == []


def test_an_answer_to_a_stopped_execution_is_recorded_and_its_stale_token_is_ignored(
    harness: CrashHarness, api: ApiClient, asked: ScenarioRun
) -> None:
    """The execution is stopped by hand; the answer arrives before the failure event."""
    harness.state_machines.stop_execution(asked.executions[-1])
    answer_all(api, asked)
    asked.run_until_idle()
    assert asked.types[-2:] == [RECEIVED, "run.failed"]
    assert asked.run is not None
    assert asked.run.error is not None
    assert asked.run.error["code"] == "aborted"
    assert find_run_violations(harness.stores, asked.run_id) == []


def test_a_run_whose_token_was_replaced_by_a_late_attempt_is_recovered_by_the_second_sweep(
    harness: CrashHarness, api: ApiClient, asked: ScenarioRun
) -> None:
    """A process of an old execution lives on, and writes its token after the current one."""
    harness.stores.input_requests.replace_token(asked.run_id, "a token of an old attempt")
    answer_all(api, asked)
    asked.sweep()
    assert any(execution.is_waiting for execution in asked.executions)
    asked.sweep()
    reasons = [
        event.data["reason"]
        for event in harness.stores.log.events(asked.run_id)
        if event.type == "run.recovered"
    ]
    assert reasons == ["answer_not_resumed", "token_rejected"]
    asked.run_until_idle()
    assert_completed(asked)


def test_a_task_token_is_stored_only_in_its_record(
    harness: CrashHarness, asked: ScenarioRun
) -> None:
    token = harness.stores.input_requests.token(asked.run_id)
    assert token is not None
    assert token == asked.executions[-1].token
    said = [encode_event(event).decode() for event in harness.stores.log.events(asked.run_id)]
    said += [request.model_dump_json() for request in asked.open_requests()]
    assert not any(token in text for text in said)
