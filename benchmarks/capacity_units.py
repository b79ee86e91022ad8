"""What runs use of AWS, counted and not timed: units, transitions, invocations.

Units are what the DynamoDB emulator says that DynamoDB would count (ReturnConsumedCapacity), asked
of every call that any process makes. Transitions are the states that its executions entered.
"""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.spans import Span, read
from benchmarks.stack import Client
from runyard_dev.dev_stack import DevStack
from runyard_dev.open_store import stores_of
from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.stores import Stores

# The cost of watching is that of the tail's pauses, which are shorter on one machine.
PACE_ON_AWS = {"POLL_MIN_MS": "50", "POLL_MAX_MS": "500"}
_WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems", "BatchWriteItem"})


@dataclass(frozen=True)
class Used:
    """What one run has used. `tail_reads` are the read units of its watcher, among `reads`.

    `event_writes` are those of the table of events, and `usage_writes` those of the index of agents
    and of the counters of usage, among `writes`.
    """

    run_id: str
    writes: float
    event_writes: float
    usage_writes: float
    reads: float
    tail_reads: float
    transitions: int
    invocations: Mapping[str, int]
    worked_seconds: Mapping[str, float]
    """Seconds of each function's invocations."""
    watched_seconds: float


def count(stack: DevStack, client: Client, folder: Path, case: str) -> Used:
    """Play the case with one watcher, alone on the stack, and count."""
    started = time.monotonic()
    seen = client.measure("watch_case", case=case)
    time.sleep(0.5)  # The execution ends a little after its run.
    spans = [span for span in read(folder) if span.started >= started]
    run_id = re.findall(r"[0-9a-f-]{36}", seen["stream"])[-1]
    web = stack.pid("web")
    at_table = stack.environment["EVENTS_TABLE"]
    # On AWS the function of the log's stream does this; these stacks have no stream.
    counted = _counter_units(stores_of(stack.environment), run_id)
    indexed = sum(_index_units(span, keys.RUNS_BY_AGENT_INDEX) for span in spans)
    invoked = [span for span in spans if span.kind.startswith("invoke ")]
    names = {span.kind.removeprefix("invoke ") for span in invoked}
    return Used(
        run_id=run_id,
        writes=_units(spans, writes=True) + counted,
        event_writes=_units(spans, writes=True, table=at_table),
        usage_writes=counted + indexed,
        reads=_units(spans, writes=False),
        tail_reads=_units(
            [span for span in spans if span.process == web and span.operation == "Query"],
            writes=False,
            table=at_table,
        ),
        transitions=_transitions(stack, run_id),
        invocations={
            name: sum(span.kind.endswith(name) for span in invoked) for name in sorted(names)
        },
        worked_seconds={
            name: sum(span.ended - span.started for span in invoked if span.kind.endswith(name))
            for name in sorted(names)
        },
        watched_seconds=seen["seconds"],
    )


def _units(spans: Sequence[Span], *, writes: bool, table: str = "") -> float:
    return sum(
        float(used["CapacityUnits"])
        for span in spans
        if span.is_dynamodb and (span.operation in _WRITES) == writes
        for used in span.used
        if table in ("", used["TableName"])
    )


def _index_units(span: Span, index: str) -> float:
    """The write units of the index in this call."""
    if not span.is_dynamodb or span.operation not in _WRITES:
        return 0.0
    indexes = (used.get("GlobalSecondaryIndexes", {}) for used in span.used)
    return sum(float(each[index]["CapacityUnits"]) for each in indexes if index in each)


def _counter_units(stores: Stores, run_id: str) -> float:
    """The write units of adding the ended run to the usage of its project."""
    events: Any = stores.deleted_runs.records.client.meta.events
    used: list[float] = []

    def ask(params: dict[str, Any], **_: Any) -> Any:
        return {**params, "ReturnConsumedCapacity": "TOTAL"}

    def add(parsed: dict[str, Any], **_: Any) -> None:
        used.append(float(parsed["ConsumedCapacity"]["CapacityUnits"]))

    for operation in ("PutItem", "UpdateItem"):
        events.register(f"provide-client-params.dynamodb.{operation}", ask)
        events.register(f"after-call.dynamodb.{operation}", add)
    stores.usage_counters.add([run_id])
    return sum(used)


def _transitions(stack: DevStack, run_id: str) -> int:
    """Of all the run's executions, asked again until each has ended."""
    states = stack.client("stepfunctions")
    until, entered = time.monotonic() + 10, 0
    for machine in ("RUN_STATE_MACHINE_ARN", "RESUME_STATE_MACHINE_ARN"):
        pages = states.get_paginator("list_executions").paginate(
            stateMachineArn=stack.environment[machine]
        )
        for execution in (one for page in pages for one in page["executions"]):
            if not execution["name"].startswith(run_id):
                continue
            arn = execution["executionArn"]
            while states.describe_execution(executionArn=arn)["status"] == "RUNNING":
                assert time.monotonic() < until, f"{run_id} is still active"
                time.sleep(0.1)
            history = states.get_paginator("get_execution_history").paginate(executionArn=arn)
            entered += sum(
                event["type"].endswith("StateEntered")
                for page in history
                for event in page["events"]
            )
    return entered
