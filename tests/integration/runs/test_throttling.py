"""Test that a throttled run is late, and has no other defect."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.crashes.crash_harness import CrashHarness
from tests.crashes.scenario_run import ScenarioRun
from tests.crashes.scenarios import scenario
from tests.support.state_machines import TaskFailedError


@pytest.mark.parametrize(
    ("name", "turned_away"), [("plain", "run_step"), ("two input requests", "request_input")]
)
def test_a_run_throttled_for_minutes_is_recovered_by_the_sweep(
    harness: CrashHarness, name: str, turned_away: str
) -> None:
    scenario_run = ScenarioRun(harness, scenario(name))
    scenario_run.start()

    def invoke(function: str, payload: Mapping[str, Any]) -> Any:
        if function == turned_away:
            raise TaskFailedError("Lambda.TooManyRequestsException")
        return scenario_run.invoke(function, payload)

    while running := [one for one in scenario_run.executions if one.is_runnable]:
        for execution in running:
            harness.state_machines.run_task(execution, invoke)
    assert {one.status for one in scenario_run.executions} == {"SUCCEEDED"}
    assert scenario_run.executions[-1].retries == 6
    assert not scenario_run.has_ended()

    scenario_run.sweep()
    scenario_run.run_until_idle()
    if turned_away == "request_input":
        scenario_run.scenario.handle_wait(scenario_run)
        scenario_run.run_until_idle()
    assert scenario_run.run
    assert scenario_run.run.status == "completed"
    assert scenario_run.types.count("run.recovered") == 1
