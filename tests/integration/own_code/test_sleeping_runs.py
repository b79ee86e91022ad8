"""Sleeping runs: the sweep wakes those that are overdue, and a cancel ends them."""

from typing import Any

import pytest

from runyard import Context
from runyard_service.adapters.step_functions import (
    NOTHING_TO_WAIT_FOR,
    ExecutionState,
    Orchestrator,
    WaitSpec,
)
from runyard_service.application.maintenance.sweep_runs import sweep_runs
from runyard_service.application.runs.cancel_run import cancel_run
from runyard_service.domain.runs import Execution, Run
from tests.integration.own_code.conftest import CodeRuns, MoveClock


class OneRunMachine(Orchestrator):
    """A fake: the executions of one run have the state that the test sets."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.now: ExecutionState = "running"
        self.started: list[WaitSpec] = []
        self.resumed: list[str] = []
        self.stopped: list[str] = []

    def state(self, execution: Execution) -> ExecutionState:
        """Return the state; the runs of other tests are always running."""
        return self.now if execution.run_id == self.run_id else "running"

    def start(self, execution: Execution, wait: WaitSpec = NOTHING_TO_WAIT_FOR) -> None:
        """Record the wait of the execution."""
        self.started.append(wait)

    def resume(self, token: str) -> bool:
        """Record the token."""
        self.resumed.append(token)
        return True

    def stop(self, execution: Execution) -> None:
        """Record the run."""
        self.stopped.append(execution.run_id)


@pytest.fixture
def sleeping(code_runs: CodeRuns) -> tuple[Run, OneRunMachine]:
    """Return a run that sleeps for an hour."""

    async def sleeper(ctx: Context, data: Any) -> str:
        await ctx.sleep(hours=1)
        return "awake"

    run = code_runs.start(sleeper)
    paused = code_runs.advance(run)
    assert code_runs.ask(run, f"token of {run.id}", met=paused)
    code_runs.orchestrator = machine = OneRunMachine(run.id)
    return run, machine


def test_the_sweep_wakes_only_an_overdue_run(
    code_runs: CodeRuns, sleeping: tuple[Run, OneRunMachine], later: MoveClock
) -> None:
    run, machine = sleeping
    for seconds in (0, 3500, 3620):  # The timer of the state machine may still fire.
        later(seconds)
        sweep_runs(code_runs.stores, machine, everything=True)
        assert f"token of {run.id}" not in machine.resumed
    later(4600)
    sweep_runs(code_runs.stores, machine, everything=True)
    assert f"token of {run.id}" in machine.resumed
    assert code_runs.events(run)[-1].data["reason"] == "wait_overdue"
    assert code_runs.finish(run).data["output"] == {"content": "awake"}
    assert code_runs.types(run).count("run.resumed") == 1


def test_a_lost_execution_sleeps_on_for_the_rest_of_its_time(
    code_runs: CodeRuns, sleeping: tuple[Run, OneRunMachine], later: MoveClock
) -> None:
    _, machine = sleeping
    machine.now = "missing"
    later(3000)
    sweep_runs(code_runs.stores, machine, everything=True)
    [wait] = machine.started
    assert 580 < wait.seconds <= 600


def test_a_cancel_ends_a_sleeping_run(
    code_runs: CodeRuns, sleeping: tuple[Run, OneRunMachine], later: MoveClock
) -> None:
    run, machine = sleeping
    cancel_run(code_runs.stores, machine, run.id, "user-1")
    assert machine.stopped == [run.id]
    assert code_runs.record(run).status == "canceled"
    later(4600)
    sweep_runs(code_runs.stores, machine, everything=True)
    assert f"token of {run.id}" not in machine.resumed
    assert code_runs.advance(run).outcome == "finished"
    assert code_runs.types(run)[-1] == "run.canceled"
