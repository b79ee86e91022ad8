"""Runs that outlive their execution: they go on in another one, and nobody who follows sees it."""

import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from statistics import median
from typing import Any

import pytest

from runyard.dev.open_store import stores_of
from runyard.dev.supervisor import LocalStack
from runyard.domain.clock import parse
from runyard.domain.requests import Answer
from runyard.domain.runs import Run
from runyard.engine.close_run import close_run
from runyard.engine.orchestrator import Orchestrator
from runyard.engine.start_run import NewRun, start_run
from runyard.engine.submit_input import submit_input
from runyard.engine.sweep_runs import sweep_runs
from runyard.engine.verify_log import faults_of_run
from runyard.store.stores import Stores
from tests.scripted import scripted_agent

MAX_TURNS = 3
ENTRIES_OF_A_TURN = 13
STEPS = 1_000


@pytest.fixture(scope="module")
def low(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A stack whose executions roll over soon. Nobody sweeps it but the tests."""
    with LocalStack.start(
        data_dir=tmp_path_factory.mktemp("low"),
        environment={"EXECUTION_MAX_TURNS": str(MAX_TURNS)},
        web=False,
        sweep_seconds=None,
    ) as running:
        yield running


class Bench:
    """Runs of scripts that the tests write, through the real machine."""

    def __init__(self, stack: LocalStack) -> None:
        self.stack = stack
        self.stores: Stores = stores_of(stack.environment)
        self.client = stack.client("stepfunctions")
        self.machine_arn = stack.environment["RUN_MACHINE_ARN"]
        self.orchestrator = Orchestrator(lambda: self.client, self.machine_arn)

    def start(self, turns: list[dict[str, Any]], **limits: Any) -> Run:
        """A run whose model gives these replies."""
        wanted = NewRun(org_id="o", project_id="p", input={"x": 1})
        agent = scripted_agent(turns, TOOLS, **{"steps": 10_000, **limits})
        return start_run(self.stores, self.orchestrator, agent, wanted)

    def answer(self, run: Run, feedback: str) -> None:
        """Answer the run's only question, once it is asked."""
        [request] = until(lambda: self.stores.input_requests.open_of_run(run.id))
        answer = Answer(type=request.type, request_id=request.id, feedback=feedback)
        submit_input(self.stores, self.orchestrator, run.id, answer, "somebody")

    def ended(self, run: Run, seconds: float = 30) -> Run:
        """The run's record once it has ended."""

        def look() -> Run | None:
            found = self.stores.runs.get(run.id)
            return found if found and found.has_ended else None

        found: Run = until(look, seconds)
        return found

    def types(self, run: Run) -> list[str]:
        """The log's types, without deltas."""
        types = [event.type for event in self.stores.log.events(run.id)]
        return [kind for kind in types if not kind.endswith(".delta")]

    def executions(self, run: Run) -> dict[str, str]:
        """The status of each execution that the run has had, by name."""
        pages = self.client.get_paginator("list_executions").paginate(
            stateMachineArn=self.machine_arn
        )
        found = {one["name"]: one["status"] for page in pages for one in page["executions"]}
        return {name: status for name, status in found.items() if name.startswith(run.id)}

    def history_entries(self, run: Run) -> int:
        """The length of the longest history among the run's executions."""
        arn = self.machine_arn.replace(":stateMachine:", ":execution:")
        return max(
            sum(
                len(page["events"])
                for page in self.client.get_paginator("get_execution_history").paginate(
                    executionArn=f"{arn}:{name}"
                )
            )
            for name in self.executions(run)
        )


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
)


@pytest.fixture
def bench(low: LocalStack) -> Bench:
    """Runs on the stack whose executions roll over soon."""
    return Bench(low)


def until(look: Callable[[], Any], seconds: float = 30) -> Any:
    """What another process brings about."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
    return found


QUESTION = {"call": [{"tool": "ask_human", "input": {"prompt": "And now?"}}]}


def test_a_run_goes_on_over_three_executions_and_more(bench: Bench) -> None:
    questions = 10
    run = bench.start([QUESTION] * questions + [{"say": "{{ results.ask_human.content }}"}])
    for number in range(questions):
        bench.answer(run, str(number))
    done = bench.ended(run)
    assert (done.status, done.output) == ("completed", {"content": str(questions - 1)})
    # Eleven turns, three by each execution.
    assert done.execution == 3
    names = [run.id, *(f"{run.id}-{number}" for number in range(1, 4))]
    until(lambda: bench.executions(run) == dict.fromkeys(names, "SUCCEEDED"))
    # And what is not a turn: the handover, the beginning and the end.
    assert bench.history_entries(run) <= MAX_TURNS * ENTRIES_OF_A_TURN + 16
    types = bench.types(run)
    assert types.count("run.paused") == types.count("run.resumed") == questions
    assert "run.recovered" not in types
    assert faults_of_run(bench.stores, run.id) == []


def test_an_execution_that_was_recorded_and_never_started_is_started_by_the_sweep(
    bench: Bench,
) -> None:
    run = bench.start([QUESTION, {"say": "Done."}])
    bench.answer(run, "1")
    done = bench.ended(run)
    # As if the machine had been lost between the record and the start: it has come to an end, and
    # what the record names is not there.
    lost = bench.start([QUESTION, {"say": "Done."}])
    until(lambda: bench.stores.input_requests.open_of_run(lost.id))
    bench.stores.runs.go_on_in(lost, 1)
    assert sweep_runs(bench.stores, bench.orchestrator, everything=True).restarted == 0
    bench.client.stop_execution(
        executionArn=f"{bench.machine_arn.replace(':stateMachine:', ':execution:')}:{lost.id}"
    )
    until(lambda: bench.executions(lost) == {lost.id: "ABORTED"})
    assert sweep_runs(bench.stores, bench.orchestrator, everything=True).restarted == 1
    bench.answer(lost, "2")
    ended = bench.ended(lost)
    assert (done.status, ended.status, ended.execution) == ("completed", "completed", 1)
    assert bench.types(lost) == bench.types(run)
    assert faults_of_run(bench.stores, lost.id) == []


def test_what_is_told_late_of_an_old_execution_ends_nothing(bench: Bench) -> None:
    run = bench.start([QUESTION] * (MAX_TURNS + 1) + [{"say": "Done."}])
    for number in range(MAX_TURNS):
        bench.answer(run, str(number))
    until(lambda: len(bench.executions(run)) == 2)
    for execution, status in ((run.id, "started"), (f"{run.id}-1", "failed")):
        close_run(bench.stores, run.id, "ExecutionAborted", execution=execution)
        found = bench.stores.runs.get(run.id)
        assert found is not None
        assert found.has_ended == (status == "failed")
    assert bench.types(run).count("run.failed") == 1


@pytest.mark.timeout(300)
def test_the_thousandth_step_takes_no_longer_than_the_tenth(bench: Bench) -> None:
    """On a machine that others use too: the test would notice a step that grows with the log."""
    step = {"say": "One more.", "call": [{"tool": "show", "input": {"obj": "x" * 50}}]}
    run = bench.start([step] * (STEPS - 1) + [{"say": "Done."}])
    done = bench.ended(run, seconds=250)
    assert (done.status, done.usage.steps) == ("completed", STEPS)
    assert bench.history_entries(run) < MAX_TURNS * ENTRIES_OF_A_TURN
    assert done.checkpoint > STEPS
    replies = [
        parse(event.timestamp)
        for event in bench.stores.log.events(run.id)
        if event.type == "agent.message.completed"
    ]
    seconds = [(after - before).total_seconds() for before, after in pairwise(replies)]
    assert median(seconds[-50:]) < 3 * median(seconds[:50])
    assert faults_of_run(bench.stores, run.id) == []
