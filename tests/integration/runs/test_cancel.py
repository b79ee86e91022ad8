"""Test a cancel at every call of a run: the end is written first, and no call starts after it."""

from collections.abc import Sequence
from contextlib import suppress
from itertools import dropwhile

import pytest

from runyard.cli.verify_stores import find_run_violations
from runyard_dev.dev_stack import DevStack
from runyard_service.domain.errors import InvalidRequestError
from tests.crashes.api import ApiClient
from tests.crashes.crash_harness import CrashHarness
from tests.crashes.interruptions import Meanwhile
from tests.crashes.scenario_run import ScenarioRun
from tests.crashes.scenarios import Scenario, scenario
from tests.fault_injection.faults import InterceptedCall

ENDED = ["run.cancel_requested", "run.canceled"]
# Writes of the worker, and external calls that must not start after a cancel.
WRITES = ("dynamodb.PutItem", "dynamodb.TransactWriteItems")
EXTERNAL_CALLS = ("model.", "http.", "lambda.", "python.")


@pytest.fixture(scope="module")
def api(crash_stack: DevStack, world: CrashHarness) -> ApiClient:
    """Return the Runs API."""
    return ApiClient(crash_stack)


def assert_canceled(journey: ScenarioRun) -> None:
    run = journey.run
    assert run is not None
    assert run.status == "canceled"
    assert journey.types[-2:] == ENDED
    assert journey.open_requests() == []
    assert not journey.holds(journey.scenario.agent)
    assert find_run_violations(journey.world.stores, journey.run_id) == []
    assert all(execution.status != "RUNNING" for execution in journey.executions)


def test_a_run_that_is_created_and_not_started_is_canceled(
    world: CrashHarness, api: ApiClient
) -> None:
    journey = ScenarioRun(world, scenario("charge"))
    journey.start()
    assert api.cancel(journey).status_code == 200
    journey.settle()
    assert journey.types == ENDED
    assert "advance_run" not in journey.calls
    assert_canceled(journey)


def cancel_before(
    world: CrashHarness, case: Scenario, use_case: str, call: InterceptedCall
) -> ScenarioRun:
    """Run a scenario that is canceled just before one of its calls."""
    journey = ScenarioRun(world, case)
    act = lambda: journey.cancel(concurrent=True)  # noqa: E731
    journey.meanwhile = Meanwhile(use_case, call.name, call.occurrence, act)
    # An answer to a canceled run is an error.
    with suppress(InvalidRequestError):
        journey.go()
    journey.settle()
    return journey


def calls_started_too_late(calls: Sequence[InterceptedCall], call: InterceptedCall) -> list[str]:
    """Return the calls that started after the worker lost its first append after the cancel.

    A model call, or calls that are already in the log, may be about to start at that moment.
    """
    met = (call.name, call.occurrence)
    rest = list(dropwhile(lambda one: (one.name, one.occurrence) != met, calls))
    lost = dropwhile(lambda one: not one.name.startswith(WRITES), rest)
    return [one.name for one in lost if one.name.startswith(EXTERNAL_CALLS)]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["charge", "questions", "capped", "thread"])
def test_a_cancel_before_any_call_ends_the_run_and_no_later_call_starts(
    world: CrashHarness, name: str
) -> None:
    """Cancel in a model call, in a tool call, while waiting, while resuming, and at the end."""
    case = scenario(name)
    undisturbed = ScenarioRun(world, case)
    undisturbed.go()
    met = 0
    for use_case in ("advance_run", "request_input", "submit_input"):
        for call in undisturbed.calls.get(use_case, ()):
            journey = cancel_before(world, case, use_case, call)
            assert_canceled(journey)
            assert calls_started_too_late(journey.calls[use_case], call) == [], (
                use_case,
                call.name,
            )
            met += 1
    assert met >= 8


def test_a_call_in_flight_at_the_cancel_is_made_once_and_not_recorded(world: CrashHarness) -> None:
    journey = ScenarioRun(world, scenario("canceled at work"))
    before = world.till.charges.total()
    journey.go()
    assert world.till.charges.total() == before + 1
    assert "agent.tool_call.completed" not in journey.types
    assert_canceled(journey)


def test_canceling_a_waiting_run_closes_its_input_requests(
    world: CrashHarness, api: ApiClient
) -> None:
    journey = ScenarioRun(world, scenario("questions"))
    journey.start()
    journey.settle()
    assert api.cancel(journey).status_code == 200
    journey.settle()
    states = {request.state for request in world.stores.input_requests.of_run(journey.run_id)}
    assert states == {"void"}
    assert [execution.status for execution in journey.executions] == ["SUCCEEDED", "ABORTED"]
    assert_canceled(journey)


def test_a_second_cancel_changes_nothing(world: CrashHarness, api: ApiClient) -> None:
    journey = ScenarioRun(world, scenario("questions"))
    journey.start()
    journey.settle()
    for _ in range(2):
        answer = api.cancel(journey)
        assert (answer.status_code, answer.json()) == (200, {"message": "canceled"})
    journey.settle()
    assert journey.types.count("run.canceled") == 1
    assert_canceled(journey)


def test_a_second_cancel_stops_an_execution_that_the_first_could_not_stop(
    world: CrashHarness, api: ApiClient
) -> None:
    journey = ScenarioRun(world, scenario("questions"))
    journey.start()
    journey.settle()
    world.machine.refusals = 1
    assert api.cancel(journey).status_code == 200
    assert [execution.is_waiting for execution in journey.executions] == [False, True]
    assert api.cancel(journey).status_code == 200
    assert_canceled(journey)


def test_an_ended_run_is_not_changed_by_a_cancel(world: CrashHarness, api: ApiClient) -> None:
    journey = ScenarioRun(world, scenario("plain"))
    journey.go()
    length = len(journey.types)
    answer = api.cancel(journey)
    assert (answer.status_code, answer.json()) == (200, {"message": "canceled"})
    assert journey.run is not None
    assert journey.run.status == "completed"
    assert len(journey.types) == length
