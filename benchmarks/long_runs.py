"""The cost of steps 10, 100, 500 and 1,000 of a run, and of recovering the run there.

    .venv/bin/python -m benchmarks.long_runs [words of a response]

One worker plays a script on dynoxide: each response streams its words and calls a tool that
takes no time, so a step is what Runyard itself costs. Units are what the emulator says that
DynamoDB would count (ReturnConsumedCapacity), times are this machine's.
"""

import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from pathlib import Path

from benchmarks.run_lists import Meter
from runyard_dev.clients import client
from runyard_dev.dev_stack import DevStack
from runyard_dev.open_store import stores_of
from runyard_service.adapters.s3.bucket import Bucket
from runyard_service.adapters.stores import Stores
from runyard_service.agents.definitions.models import AgentDefinition, Limits, Snapshot
from runyard_service.agents.definitions.routes import Route
from runyard_service.agents.models.base import ModelEvent, ModelRequest
from runyard_service.agents.models.scripted import ScriptedModel
from runyard_service.agents.tools.base import ToolEnvironment
from runyard_service.application.steps.advance_run import advance_run
from runyard_service.application.steps.run_context import WorkerDeps
from runyard_service.domain.clock import timestamp
from runyard_service.domain.ids import new_id
from runyard_service.domain.runs import Run
from runyard_service.event_loops import run_async
from runyard_service.settings import Settings

LENGTHS = (10, 100, 500, 1_000)


def look(at: int) -> str:
    """The tool: as much text as a record of something has."""
    return f"{at}: {'x' * 500}"


def snapshot(steps: int, words: int) -> Snapshot:
    """An agent that takes this number of steps, and then asks a person."""
    tool = {
        "kind": "python",
        "name": "look",
        "description": "Looks something up.",
        "function": "benchmarks.long_runs:look",
        "effect": "none",
        "parameters": {"type": "object", "properties": {"at": {"type": "integer"}}},
    }
    definition = AgentDefinition.model_validate(
        {
            "key": "long",
            "version": "1",
            "instructions": "Continue.",
            "route": "long",
            "input_schema": {"type": "object"},
            "tools": [tool, {"kind": "ask_human"}],
            "limits": Limits(steps=10_000),
        }
    )
    turn = {"say": "word ", "repeat": words, "call": [{"tool": "look", "input": {"at": 1}}]}
    last = {"call": [{"tool": "ask_human", "input": {"prompt": "Enough?"}}]}
    script = {"dialogues": [{"name": "long", "turns": [turn] * (steps - 1) + [last]}]}
    route = Route(model="scripted:long")
    return Snapshot(definition=definition, route=route, route_id="scripted", script=script)


class ObservedModel(ScriptedModel):
    """A scripted model that notes when it is asked: on the wall clock, and in processor time."""

    def __init__(self, snapshot: Snapshot, asked: list[tuple[float, float]]) -> None:
        super().__init__(snapshot.route, snapshot.script or {})
        self._asked = asked

    def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Note the moment, then play."""
        self._asked.append((time.perf_counter(), time.process_time()))
        return super().stream(request)


def played(stores: Stores, steps: int, words: int, asked: list[tuple[float, float]]) -> Run:
    """A run that has taken its steps; `asked` gets the moments at which they started."""
    agent = snapshot(steps, words)
    run = Run(
        id=new_id(),
        project_id="benchmark",
        org_id="org",
        app_id=new_id(),
        agent=agent.name,
        definition_digest=stores.definitions.save(agent.to_stored()),
        input={"x": 1},
        started_at=timestamp(),
    )
    stores.runs.create(run)
    worker = WorkerDeps(
        stores=stores,
        model_for=lambda used: ObservedModel(used, asked),
        tools=ToolEnvironment({}),
    )
    while run_async(advance_run(worker, run.current_execution, 900)).outcome == "more":
        pass
    found = stores.runs.get(run.id)
    assert found is not None
    return found


def recover(stack: DevStack, run: Run, *, warm: bool) -> str:
    """Units and milliseconds of reading the run: for the first time, or after having had it."""
    dynamodb = client("dynamodb", stack.environment)
    settings = Settings.from_environment(stack.environment)
    stores = Stores.create(
        dynamodb,
        Bucket(settings.bucket, lambda: client("s3", stack.environment)),
        events_table=settings.events_table,
        records_table=settings.records_table,
    )
    stores.runs.get("none")  # Opens the connection, which is not what is measured.
    if warm:
        stores.histories.cache(run.id, stores.histories.read(run))
    return Meter(dynamodb).measure(lambda: stores.histories.read(run))


def main() -> None:
    """Play the runs and print the table."""
    words = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    with (
        tempfile.TemporaryDirectory() as folder,
        DevStack.start(data_dir=Path(folder), web=False, sweep_seconds=None) as stack,
    ):
        stores = stores_of(stack.environment)
        asked: list[tuple[float, float]] = []
        print(f"{'':38}{'calls':>6} {'units':>9} {'ms':>9}")
        for steps in LENGTHS:
            started = time.perf_counter()
            asked.clear()
            run = played(stores, steps, words, asked)
            last, _ = stores.log.last(run.id)
            seconds = time.perf_counter() - started
            print(f"{steps} steps, {last} events, {seconds:.1f} s, checkpoint at {run.checkpoint}")
            bare = run.model_copy(update={"checkpoint": 0})
            for name, columns in (
                ("warm", recover(stack, run, warm=True)),
                ("cold", recover(stack, run, warm=False)),
                ("cold, without a checkpoint", recover(stack, bare, warm=False)),
            ):
                print(f"  recovery, {name:27}{columns}")
        for step in LENGTHS:
            near = asked[max(0, step - 21) : step]
            wall, processor = (
                (near[-1][clock] - near[0][clock]) / (len(near) - 1) * 1000 for clock in (0, 1)
            )
            print(f"step {step:>5}: {wall:6.1f} ms, {processor:6.1f} of them this process's")


if __name__ == "__main__":
    main()
