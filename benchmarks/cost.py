"""What runs cost on AWS, per million, the model's tokens left out: `make bench-cost`.

    python -m benchmarks.cost [--json FILE]

Counted on the local stack (`capacity_units.py`), with the tail's pace and the memory sizes of
`template.yaml`; priced by `prices.json`. Then the same with other settings, on paper
(`what_if.py`).
"""

import argparse
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import capacity_units
from benchmarks import what_if as played
from benchmarks.stack import instrumented, runyard
from benchmarks.storage_size import stored_bytes
from runyard_dev.dev_stack import REPOSITORY
from runyard_dev.open_store import stores_of
from runyard_dev.template.template import read_template

PRICES = Path("benchmarks/prices.json")
MILLION = 1_000_000
# What the API function works on a create or an answer; a few of these are DynamoDB's milliseconds.
_REQUEST_SECONDS = 0.06
# What the state machine's other function works; see `request_input`.
_PUBLISH_SECONDS = 0.06
_GB = 1024**3


@dataclass(frozen=True)
class Workload:
    """A kind of run. `watched_at_least` are the seconds that its one watcher stays, if longer.

    `at_most_usd` is the goal for a million runs.
    """

    name: str
    case: str
    requests: int
    watched_at_least: float = 0.0
    at_most_usd: float | None = None


WORKLOADS = (
    Workload("chat turn: one response of 5 s in 200 events", "chat", requests=1),
    Workload("six steps: responses of 5 s, five calls of 1 s, 60 events", "tools", requests=1),
    Workload(
        "a wait of ten minutes: 3 responses of 5 s, 3 calls of 1 s, 60 events; streamed 20 s",
        "waiting",
        requests=2,
        watched_at_least=20.0,
        at_most_usd=290.0,
    ),
)


@dataclass(frozen=True)
class Measured:
    """A counted run of a workload with its log; `stored` are the bytes that stay stored."""

    workload: Workload
    used: capacity_units.Used
    writes: list[list[played.Line]]
    stored: int

    @property
    def plain_writes(self) -> list[list[played.Line]]:
        """The writes that are no transactions: those without an event that changes the run."""
        return [write for write in self.writes if all(_is_plain(line) for line in write)]

    @property
    def watched_seconds(self) -> float:
        """How long the watcher was there."""
        return max(self.used.watched_seconds, self.workload.watched_at_least)


@dataclass(frozen=True)
class Sizes:
    """The settings that decide: memory in MB, the tail's pauses and the flush window in ms."""

    run_step_mb: int
    stream_mb: int
    api_mb: int
    request_input_mb: int
    poll_min_ms: int = 50
    poll_max_ms: int = 500
    delta_flush_ms: int = 50


def _is_plain(line: played.Line) -> bool:
    return b'"type":"agent.' in line.text[:70] and b"human_feedback" not in line.text[:90]


def measure() -> list[Measured]:
    """Count one run of each workload."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        environment = {**instrumented(Path(folder), units=True), **capacity_units.PACE_ON_AWS}
        with runyard("counted", environment) as (stack, client):
            capacity_units.count(stack, client, Path(folder), "nothing")
            log = stores_of(stack.environment).log
            for workload in WORKLOADS:
                print(f"counting: {workload.name}", flush=True)
                used = capacity_units.count(stack, client, Path(folder), workload.case)
                writes = played.lines_of(log.read(used.run_id))
                found.append(Measured(workload, used, writes, stored_bytes(stack, used.run_id)))
    return found


def sizes_of_template() -> Sizes:
    """The memory sizes of `template.yaml`."""
    functions = read_template(REPOSITORY / "template.yaml", region="us-east-1").functions
    return Sizes(
        run_step_mb=functions["RunStepFunction"].memory_mb,
        stream_mb=functions["StreamFunction"].memory_mb,
        api_mb=functions["ApiFunction"].memory_mb,
        request_input_mb=functions["RequestInputFunction"].memory_mb,
    )


def cost(measured: Measured, sizes: Sizes, price: Mapping[str, float]) -> dict[str, float]:
    """USD per million runs, by what they are paid for."""
    used, workload = measured.used, measured.workload
    second = price["lambda_gb_second"] / 1024  # Of one MB.
    pauses = used.invocations.get("RequestInputFunction", 0)
    runner = used.worked_seconds["RunStepFunction"] * sizes.run_step_mb * second
    runner += pauses * _PUBLISH_SECONDS * sizes.request_input_mb * second
    runner += sum(used.invocations.values()) * price["lambda_request"]
    requests = workload.requests * (
        price["http_api_request"]
        + price["lambda_request"]
        + _REQUEST_SECONDS * sizes.api_mb * second
    )
    event_writes, tail = _played(measured, sizes)
    dollars = {
        "orchestration": used.transitions * price["state_transition"],
        "runner": runner,
        "event writes": event_writes * price["write_unit"],
        "record writes": (used.writes - used.event_writes) * price["write_unit"],
        "tail: reads": tail * price["read_unit"],
        "tail: function": measured.watched_seconds * sizes.stream_mb * second
        + price["lambda_request"],
        "requests": requests,
        "other reads": (used.reads - used.tail_reads) * price["read_unit"],
        "storage, a month": measured.stored / _GB * price["stored_gb_month"],
    }
    return {name: value * MILLION for name, value in dollars.items()}


def _played(measured: Measured, sizes: Sizes) -> tuple[float, float]:
    """Write units of events and read units of the tail, under these settings.

    What was counted is the base; only the difference is played.
    """
    plain, used = measured.plain_writes, measured.used
    other = (
        played.regrouped(plain, sizes.delta_flush_ms / 1000)
        if sizes.delta_flush_ms != 50
        else plain
    )
    difference = played.units(other) - played.units(plain)
    start = measured.writes[0][0].at
    span = start, start + measured.watched_seconds
    tail_now = played.tail_reads(measured.writes, 0.05, 0.5, *span)
    pauses = sizes.poll_min_ms / 1000, sizes.poll_max_ms / 1000
    tail_then = played.tail_reads(measured.writes, *pauses, *span)
    seen = max(used.tail_reads, tail_now if measured.workload.watched_at_least else 0)
    return used.event_writes + difference, seen + tail_then - tail_now


def variants(base: Sizes) -> dict[str, Sizes]:
    """The settings that could be other ones, each alone."""
    return {
        "run_step with 512 MB": replace(base, run_step_mb=512),
        "run_step with 320 MB": replace(base, run_step_mb=320),
        "stream with 256 MB": replace(base, stream_mb=256),
        "api with 512 MB": replace(base, api_mb=512),
        "flush window 250 ms": replace(base, delta_flush_ms=250),
        "flush window 1 s": replace(base, delta_flush_ms=1000),
        "first pause of the tail 100 ms": replace(base, poll_min_ms=100),
        "poll ceiling 1 s": replace(base, poll_max_ms=1000),
    }


def report(found: list[Measured], base: Sizes, price: Mapping[str, float]) -> dict[str, Any]:
    """Print the tables; return them as data."""
    costs = [cost(each, base, price) for each in found]
    heads = [f"{letter}" for letter in "ABC"]
    for letter, each in zip(heads, found, strict=True):
        print(f"{letter}: {each.workload.name}")
    print(f"\n| USD per million runs | {' | '.join(heads)} |\n| --- |{' ---: |' * len(heads)}")
    for name in costs[0]:
        print(f"| {name} | {' | '.join(f'{one[name]:.2f}' for one in costs)} |")
    print(f"| **together** | {' | '.join(f'**{sum(one.values()):.0f}**' for one in costs)} |")
    goals = [each.workload.at_most_usd for each in found]
    print(f"| goal | {' | '.join('' if goal is None else f'≤ {goal:.0f}' for goal in goals)} |")
    print(f"\n| another setting | {' | '.join(heads)} |\n| --- |{' ---: |' * len(heads)}")
    changes = {}
    for name, sizes in variants(base).items():
        changes[name] = [
            sum(cost(each, sizes, price).values()) - sum(one.values())
            for each, one in zip(found, costs, strict=True)
        ]
        print(f"| {name} | {' | '.join(f'{change:+.0f}' for change in changes[name])} |")
    print("\n| counted, per run | A | B | C |\n| --- | ---: | ---: | ---: |")
    counts: dict[str, list[float]] = {
        "state transitions": [each.used.transitions for each in found],
        "invocations": [sum(each.used.invocations.values()) for each in found],
        "write units": [each.used.writes for each in found],
        "of them events": [each.used.event_writes for each in found],
        "of them usage and the index of agents": [each.used.usage_writes for each in found],
        "read units": [each.used.reads for each in found],
        "of them the watcher's": [each.used.tail_reads for each in found],
        "bytes stored": [each.stored for each in found],
    }
    for name, values in counts.items():
        print(f"| {name} | {' | '.join(f'{value:g}' for value in values)} |")
    return {"costs": costs, "changes": changes, "counts": counts}


def main() -> None:
    """Count, price, print, and leave it in a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("build/cost.json"))
    arguments = parser.parse_args()
    table = json.loads(PRICES.read_text(encoding="utf-8"))
    price = {name: each["usd"] for name, each in table["prices"].items()}
    data = report(measure(), sizes_of_template(), price)
    print(f"\nPrices: {table['region']}, {table['checked']}; {PRICES} has them with their sources.")
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(data, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
