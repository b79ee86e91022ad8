"""Test a cancel at every call of a run: the end is written first, and no call starts after it."""

from collections.abc import Sequence
from contextlib import suppress
from itertools import dropwhile

import pytest

from runyard.cli.verify_stores import find_run_violations
from runyard_dev.dev_stack import DevStack
from runyard_service.domain.request_errors import InvalidRequestError
from tests.crashes.api import ApiClient
from tests.crashes.crash_harness import CrashHarness
from tests.crashes.interruptions import Interruption
from tests.crashes.scenario_run import ScenarioRun
from tests.crashes.scenarios import Scenario, scenario
from tests.fault_injection.faults import InterceptedCall

ENDED = ["run.cancel_requested", "run.canceled"]
# Writes of the worker, and external calls that must not start after a cancel.
WRITES = ("dynamodb.PutItem", "dynamodb.TransactWriteItems")
EXTERNAL_CALLS = ("model.", "http.", "lambda.", "python.")


@pytest.fixture(scope="module")
def api(crash_stack: DevStack, harness: CrashHarness) -> ApiClient:
    """Return the Runs API."""
    return ApiClient(crash_stack)


def assert_canceled(scenario_run: ScenarioRun) -> None:
    run = scenario_run.run
    assert run is not None
    assert run.status == "canceled"
    assert scenario_run.types[-2:] == ENDED
    assert scenario_run.open_requests() == []
    assert not scenario_run.has_open_hold(scenario_run.scenario.agent)
    assert find_run_violations(scenario_run.harness.stores, scenario_run.run_id) == []
    assert all(execution.status != "RUNNING" for execution in scenario_run.executions)


def test_a_run_that_is_created_and_not_started_is_canceled(
    harness: CrashHarness, api: ApiClient
) -> None:
    scenario_run = ScenarioRun(harness, scenario("charge"))
    scenario_run.start()
    assert api.cancel(scenario_run).status_code == 200
    scenario_run.run_until_idle()
    assert scenario_run.types == ENDED
    assert "advance_run" not in scenario_run.calls
    assert_canceled(scenario_run)


def cancel_before(
    harness: CrashHarness, case: Scenario, use_case: str, call: InterceptedCall
) -> ScenarioRun:
    """Run a scenario that is canceled just before one of its calls."""
    scenario_run = ScenarioRun(harness, case)
    act = lambda: scenario_run.cancel(concurrent=True)  # noqa: E731
    scenario_run.interruption = Interruption(use_case, call.name, call.occurrence, act)
    # An answer to a canceled run is an error.
    with suppress(InvalidRequestError):
        scenario_run.execute()
    scenario_run.run_until_idle()
    return scenario_run


def calls_started_too_late(calls: Sequence[InterceptedCall], call: InterceptedCall) -> list[str]:
    """Return the calls that started after the worker lost its first append after the cancel.

    A model call, or calls that are already in the log, may be about to start at that moment.
    """
    met = (call.name, call.occurrence)
    rest = list(dropwhile(lambda one: (one.name, one.occurrence) != met, calls))
    lost = dropwhile(lambda one: not one.name.startswith(WRITES), rest)
    return [one.name for one in lost if one.name.startswith(EXTERNAL_CALLS)]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["charge", "two input requests", "capped", "thread"])
def test_a_cancel_before_any_call_ends_the_run_and_no_later_call_starts(
    harness: CrashHarness, name: str
) -> None:
    """Cancel in a model call, in a tool call, while waiting, while resuming, and at the end."""
    case = scenario(name)
    undisturbed = ScenarioRun(harness, case)
    undisturbed.execute()
    met = 0
    for use_case in ("advance_run", "request_input", "submit_input"):
        for call in undisturbed.calls.get(use_case, ()):
            scenario_run = cancel_before(harness, case, use_case, call)
            assert_canceled(scenario_run)
            assert calls_started_too_late(scenario_run.calls[use_case], call) == [], (
                use_case,
                call.name,
            )
            met += 1
    assert met >= 8


def test_a_call_in_flight_at_the_cancel_is_made_once_and_not_recorded(
    harness: CrashHarness,
) -> None:
    scenario_run = ScenarioRun(harness, scenario("canceled during a call"))
    before = harness.payment_server.charges.total()
    scenario_run.execute()
    assert harness.payment_server.charges.total() == before + 1
    assert "agent.tool_call.completed" not in scenario_run.types
    assert_canceled(scenario_run)


def test_canceling_a_waiting_run_closes_its_input_requests(
    harness: CrashHarness, api: ApiClient
) -> None:
    scenario_run = ScenarioRun(harness, scenario("two input requests"))
    scenario_run.start()
    scenario_run.run_until_idle()
    assert api.cancel(scenario_run).status_code == 200
    scenario_run.run_until_idle()
    states = {
        request.state for request in harness.stores.input_requests.of_run(scenario_run.run_id)
    }
    assert states == {"void"}
    assert [execution.status for execution in scenario_run.executions] == ["SUCCEEDED", "ABORTED"]
    assert_canceled(scenario_run)


def test_a_second_cancel_changes_nothing(harness: CrashHarness, api: ApiClient) -> None:
    scenario_run = ScenarioRun(harness, scenario("two input requests"))
    scenario_run.start()
    scenario_run.run_until_idle()
    for _ in range(2):
        answer = api.cancel(scenario_run)
        assert (answer.status_code, answer.json()) == (200, {"message": "canceled"})
    scenario_run.run_until_idle()
    assert scenario_run.types.count("run.canceled") == 1
    assert_canceled(scenario_run)


def test_a_second_cancel_stops_an_execution_that_the_first_could_not_stop(
    harness: CrashHarness, api: ApiClient
) -> None:
    scenario_run = ScenarioRun(harness, scenario("two input requests"))
    scenario_run.start()
    scenario_run.run_until_idle()
    harness.state_machines.failing_calls = 1
    assert api.cancel(scenario_run).status_code == 200
    assert [execution.is_waiting for execution in scenario_run.executions] == [False, True]
    assert api.cancel(scenario_run).status_code == 200
    assert_canceled(scenario_run)


def test_an_ended_run_is_not_changed_by_a_cancel(harness: CrashHarness, api: ApiClient) -> None:
    scenario_run = ScenarioRun(harness, scenario("plain"))
    scenario_run.execute()
    length = len(scenario_run.types)
    answer = api.cancel(scenario_run)
    assert (answer.status_code, answer.json()) == (200, {"message": "canceled"})
    assert scenario_run.run is not None
    assert scenario_run.run.status == "completed"
    assert len(scenario_run.types) == length
