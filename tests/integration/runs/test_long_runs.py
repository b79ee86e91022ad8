"""Test runs that continue in another execution, without any visible effect for readers."""

import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from runyard.cli.verify_stores import find_run_violations
from runyard_dev.dev_stack import DevStack
from runyard_dev.open_store import stores_of
from runyard_dev.template.template import read_template
from runyard_service.agents.definitions.routes import Route
from runyard_service.application.runs.close_run import close_run
from runyard_service.application.runs.start_run import NewRun, start_run
from runyard_service.domain.clock import parse
from runyard_service.domain.runs import Run
from tests.support.orchestrators import make_orchestrator
from tests.support.run_driver import RunDriver
from tests.support.scripted_agents import scripted_agent
from tests.support.wait_until import wait_until

# The history of an execution: it waits, advances, starts and ends.
ENTRIES_OF_AN_EXECUTION = 13
STEPS = 1_000
SECONDS_OF_A_WORKER = 1


@pytest.fixture(scope="module")
def low(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevStack]:
    """Yield a stack whose workers have little time. Only the tests sweep it."""
    run_step = read_template(Path("template.yaml")).functions["RunStepFunction"]
    reserve = run_step.timeout_seconds - Route(model="scripted:x").timeout - SECONDS_OF_A_WORKER
    with DevStack.start(
        data_dir=tmp_path_factory.mktemp("low"),
        environment={"STEP_RESERVE_SECONDS": str(reserve)},
        web=False,
        sweep_seconds=None,
    ) as running:
        yield running


class LongRuns(RunDriver):
    """Runs of scripts that the tests write, on the real state machine."""

    def __init__(self, stack: DevStack) -> None:
        super().__init__(stores_of(stack.environment), make_orchestrator(stack))
        self.stack = stack
        self.client = stack.client("stepfunctions")

    def start(self, turns: list[dict[str, Any]], **limits: Any) -> Run:
        """Start a run whose model returns these responses."""
        request = NewRun(org_id="o", project_id="p", input={"x": 1})
        agent = scripted_agent(turns, TOOLS, **{"steps": 10_000, **limits})
        return start_run(self.stores, self.orchestrator, agent, request)

    def answer(self, run: Run, **content: Any) -> None:
        """Answer the only input request of the run when it is open."""
        wait_until(lambda: self.stores.input_requests.open_of_run(run.id))
        super().answer(run, **content)

    def ended(self, run: Run, seconds: float = 30) -> Run:
        """Return the record of the run after its end."""

        def look() -> Run | None:
            found = self.stores.runs.get(run.id)
            return found if found and found.has_ended else None

        found: Run = wait_until(look, seconds)
        return found

    def executions(self, run: Run) -> dict[str, str]:
        """Return the status of each execution of the run, by name."""
        return {arn.rpartition(":")[2]: status for arn, status in self._executions(run).items()}

    def history_entries(self, run: Run) -> int:
        """Return the length of the longest history among the executions of the run."""
        pages = self.client.get_paginator("get_execution_history").paginate
        return max(
            sum(len(page["events"]) for page in pages(executionArn=arn))
            for arn in self._executions(run)
        )

    def _executions(self, run: Run) -> dict[str, str]:
        found = {}
        for name in ("RUN_STATE_MACHINE_ARN", "RESUME_STATE_MACHINE_ARN"):
            pages = self.client.get_paginator("list_executions").paginate(
                stateMachineArn=self.stack.environment[name]
            )
            for one in (one for page in pages for one in page["executions"]):
                if one["name"].startswith(run.id):
                    found[one["executionArn"]] = one["status"]
        return found


TOOLS = (
    {"kind": "ask_human"},
    {
        "kind": "python",
        "name": "show",
        "description": "Shows.",
        "function": "json:dumps",
        "effect": "none",
        "parameters": {"type": "object", "properties": {"obj": {}}},
    },
    {
        "kind": "python",
        "name": "pause",
        "description": "Takes its time.",
        "function": "tests.integration.runs.test_long_runs:pause",
        "effect": "none",
        "parameters": {"type": "object", "properties": {"secs": {"type": "number"}}},
    },
)


def pause(secs: float) -> None:
    """Take this long."""
    time.sleep(secs)


@pytest.fixture
def driver(low: DevStack) -> LongRuns:
    """Return runs on the stack whose workers have little time."""
    return LongRuns(low)


ASK = {"call": [{"tool": "ask_human", "input": {"prompt": "And now?"}}]}


def test_a_run_continues_in_a_new_execution_after_each_answer(driver: LongRuns) -> None:
    count = 10
    run = driver.start([ASK] * count + [{"say": "{{ results.ask_human.content }}"}])
    for number in range(count):
        driver.answer(run, feedback=str(number))
    done = driver.ended(run)
    assert (done.status, done.output) == ("completed", {"content": str(count - 1)})
    assert done.execution == count
    names = [run.id, *(f"{run.id}-{number}" for number in range(1, count + 1))]
    wait_until(lambda: driver.executions(run) == dict.fromkeys(names, "SUCCEEDED"))
    assert driver.history_entries(run) <= ENTRIES_OF_AN_EXECUTION
    types = driver.types(run)
    assert types.count("run.paused") == types.count("run.resumed") == count
    assert "run.recovered" not in types
    assert find_run_violations(driver.stores, run.id) == []


def test_a_run_longer_than_a_workers_time_continues_with_the_next_worker(driver: LongRuns) -> None:
    step = {"call": [{"tool": "pause", "input": {"secs": 0.6 * SECONDS_OF_A_WORKER}}]}
    run = driver.start([step] * 5 + [{"say": "Done."}])
    done = driver.ended(run)
    assert (done.status, done.usage.steps) == ("completed", 6)
    assert done.execution >= 2
    wait_until(lambda: set(driver.executions(run).values()) == {"SUCCEEDED"})
    assert set(driver.types(run)) & {"run.recovered", "run.paused"} == set()
    assert find_run_violations(driver.stores, run.id) == []


def test_a_late_failure_event_of_an_old_execution_is_ignored(driver: LongRuns) -> None:
    run = driver.start([ASK, {"say": "Done."}])
    wait_until(lambda: driver.stores.input_requests.open_of_run(run.id))
    for execution, has_ended in (
        (run.current_execution, False),
        (run.current_execution.next, True),
    ):
        close_run(driver.stores, execution, "ExecutionAborted")
        found = driver.stores.runs.get(run.id)
        assert found is not None
        assert found.has_ended == has_ended
    assert driver.types(run).count("run.failed") == 1


@pytest.mark.timeout(300)
def test_the_thousandth_step_takes_no_longer_than_the_tenth(driver: LongRuns) -> None:
    """The machine is shared: the test only detects a step whose time grows with the log."""
    step = {"say": "One more.", "call": [{"tool": "show", "input": {"obj": "x" * 50}}]}
    run = driver.start([step] * (STEPS - 1) + [{"say": "Done."}])
    done = driver.ended(run, seconds=250)
    assert (done.status, done.usage.steps) == ("completed", STEPS)
    assert driver.history_entries(run) <= ENTRIES_OF_AN_EXECUTION
    assert done.checkpoint > STEPS
    responses = [
        parse(event.timestamp)
        for event in driver.stores.log.events(run.id)
        if event.type == "agent.message.completed"
    ]
    seconds = [(after - before).total_seconds() for before, after in pairwise(responses)]
    assert median(seconds[-50:]) < 3 * median(seconds[:50])
    assert find_run_violations(driver.stores, run.id) == []
