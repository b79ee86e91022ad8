"""Test that a throttled run is late, and has no other defect."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.crashes.crash_harness import CrashHarness
from tests.crashes.scenario_run import ScenarioRun
from tests.crashes.scenarios import scenario
from tests.crashes.state_machine import TaskFailedError


@pytest.mark.parametrize(
    ("name", "turned_away"), [("plain", "run_step"), ("questions", "request_input")]
)
def test_a_run_throttled_for_minutes_is_recovered_by_the_sweep(
    world: CrashHarness, name: str, turned_away: str
) -> None:
    journey = ScenarioRun(world, scenario(name))
    journey.start()

    def invoke(function: str, payload: Mapping[str, Any]) -> Any:
        if function == turned_away:
            raise TaskFailedError("Lambda.TooManyRequestsException")
        return journey.invoke(function, payload)

    while running := [one for one in journey.executions if one.can_go_on]:
        for execution in running:
            world.machine.step(execution, invoke)
    assert {one.status for one in journey.executions} == {"SUCCEEDED"}
    assert journey.executions[-1].retries == 6
    assert not journey.has_ended()

    journey.sweep()
    journey.settle()
    if turned_away == "request_input":
        journey.scenario.when_it_waits(journey)
        journey.settle()
    assert journey.run
    assert journey.run.status == "completed"
    assert journey.types.count("run.recovered") == 1
