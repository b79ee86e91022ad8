"""Find the partition key that limits the rate of runs of one project: `make bench-hot-keys`.

    python -m benchmarks.hot_keys [--rates 100 200 400]

The units that a run writes, by index and by the key in it, are counted on the local stack
(`capacity_units.py`); the limits of the keys are simulated. A key takes 1,000 write units a second.
Unused units of a second expire. A hot key is not split, because the sort keys of these indexes are
times and every write comes at the end. If a single key rejects a write, all do, as in DynamoDB
when an index is throttled, and the write is retried as boto3 retries it.
"""

import argparse
import heapq
import math
import random
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import capacity_units
from benchmarks.cost import WORKLOADS
from benchmarks.spans import Span, read
from benchmarks.stack import instrumented, runyard
from runyard_dev.open_store import stores_of
from runyard_service.adapters.dynamodb import keys
from runyard_service.domain.events import event_type_of

KEY_UNITS_PER_SECOND = 1000
# boto3's standard mode, as `container.py` sets it: waits of up to 1, 2, 4, 8 s, at random.
ATTEMPTS = 5
# The statuses that a run enters with an event. The last answer, which comes before `run.resumed`,
# changes `awaiting_input` to `paused`.
_STATUSES_ENTERED = {
    "run.started": ["started"],
    "run.paused": ["awaiting_input"],
    "run.resumed": ["paused", "started"],
    "run.completed": ["completed"],
}
# Indexes whose one key is the whole project.
_OF_THE_PROJECT = (keys.RUNS_BY_PROJECT_INDEX, keys.OPEN_REQUESTS_INDEX)


@dataclass(frozen=True)
class Write:
    """One write of a run: seconds after its create, and the units that each key takes of it."""

    after: float
    by_key: Mapping[str, float]


def writes_of(spans: Iterable[Span], table: str, statuses: Sequence[str]) -> list[Write]:
    """The run's writes that change an index, with what they take of each key.

    `statuses` are those of the run, in their order. The index of statuses shows only how many units
    a write took: one is the first status's entry, two are an old entry's end and a new one's.
    """
    found: list[Write] = []
    started, passed = math.inf, 0
    for span in spans:
        by_index = _indexes(span, table)
        if not by_index:
            continue
        started = min(started, span.started)
        by_key: dict[str, float] = {}
        for index, used in by_index.items():
            if index == keys.RUNS_BY_STATUS_INDEX:
                for status in statuses[max(passed - 1, 0) : passed + 1]:
                    by_key[f"{index}: {status}"] = used / min(passed + 1, 2)
                passed += 1
            elif index == keys.OPEN_RUNS_INDEX:
                by_key[f"{index}: one of {keys.OPEN_RUN_SHARDS}"] = used / keys.OPEN_RUN_SHARDS
            elif index in _OF_THE_PROJECT:
                by_key[f"{index}: the project"] = used
            else:
                by_key[index] = used
        found.append(Write(span.started - started, by_key))
    if passed != len(statuses):
        raise ValueError(f"{passed} writes changed a status, and the log has {list(statuses)}")
    return found


def _indexes(span: Span, table: str) -> dict[str, float]:
    """The write units of each index that this call has changed."""
    if not span.is_dynamodb or span.operation in ("GetItem", "Query", "BatchGetItem"):
        return {}
    return {
        index: float(used["CapacityUnits"])
        for each in span.used
        if each["TableName"] == table
        for index, used in each.get("GlobalSecondaryIndexes", {}).items()
        if used["CapacityUnits"]
    }


def statuses_of(types: Iterable[str]) -> list[str]:
    """The statuses under which a run with these events stood in the index."""
    return ["created", *(status for each in types for status in _STATUSES_ENTERED.get(each, ()))]


def units_per_run(writes: Iterable[Write]) -> dict[str, float]:
    """What one run takes of each key over its life, most first."""
    found: dict[str, float] = {}
    for write in writes:
        for key, used in write.by_key.items():
            found[key] = found.get(key, 0.0) + used
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))


# --- played --------------------------------------------------------------------------------------


@dataclass
class Bucket:
    """One partition key: units that it still takes in the present second."""

    left: float = KEY_UNITS_PER_SECOND
    at: float = 0.0

    def fill(self, now: float) -> None:
        """Add the units since the last call, up to the units of one second."""
        gained = (now - self.at) * KEY_UNITS_PER_SECOND
        self.left, self.at = min(KEY_UNITS_PER_SECOND, self.left + gained), now


@dataclass
class Played:
    """What became of the runs that were started at a rate."""

    rate: float
    writes: int = 0
    throttled: int = 0
    given_up: int = 0
    """Writes that failed for good after all attempts; the caller or the machine repeats them."""
    delays: list[float] = field(default_factory=list)
    """Seconds by which each run's end came later than without any limit, of those that ended."""
    rejected_by: dict[str, int] = field(default_factory=dict)

    @property
    def delay_p99(self) -> float:
        """How much later the slowest hundredth of the runs ended, in seconds."""
        return sorted(self.delays)[int(len(self.delays) * 0.99)] if self.delays else math.inf

    @property
    def hottest(self) -> str:
        """The key that rejected most."""
        return max(self.rejected_by, key=lambda key: self.rejected_by[key], default="-")


def play(writes: Sequence[Write], rate: float, seconds: float, seed: int = 1) -> Played:
    """Start `rate` runs a second for `seconds`, all of one project, at random moments."""
    chance = random.Random(seed)
    played, buckets = Played(rate), dict[str, Bucket]()
    # (when, order, write, attempt, how late the run is)
    due: list[tuple[float, int, int, int, float]] = []
    at = 0.0
    for order in range(int(rate * seconds)):
        at += chance.expovariate(rate)
        due.append((at, order, 0, 1, 0.0))
    heapq.heapify(due)
    while due:
        now, order, position, attempt, late = heapq.heappop(due)
        played.writes += attempt == 1
        if not _taken(buckets, writes[position].by_key, now, played):
            if attempt == ATTEMPTS:
                played.given_up += 1
                continue
            pause = chance.uniform(0, 2.0 ** (attempt - 1))
            heapq.heappush(due, (now + pause, order, position, attempt + 1, late + pause))
        elif position + 1 == len(writes):
            played.delays.append(late)
        else:
            following = now + writes[position + 1].after - writes[position].after
            heapq.heappush(due, (following, order, position + 1, 1, late))
    return played


def _taken(
    buckets: dict[str, Bucket], by_key: Mapping[str, float], now: float, played: Played
) -> bool:
    """Whether every key takes its part; none takes any where one does not."""
    for key in by_key:
        buckets.setdefault(key, Bucket(at=now)).fill(now)
    short = [key for key, used in by_key.items() if buckets[key].left < used]
    for key in short:
        played.rejected_by[key] = played.rejected_by.get(key, 0) + 1
    played.throttled += bool(short)
    if not short:
        for key, used in by_key.items():
            buckets[key].left -= used
    return not short


# --- the command ---------------------------------------------------------------------------------


def count() -> dict[str, list[Write]]:
    """One run of each of the workloads of `make bench-cost`, on the local stack."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        environment = {**instrumented(Path(folder), units=True), **capacity_units.PACE_ON_AWS}
        with runyard("counted", environment) as (stack, client):
            capacity_units.count(stack, client, Path(folder), "nothing")
            for workload in WORKLOADS:
                print(f"counting: {workload.name}", flush=True)
                seen = len(read(Path(folder)))
                used = capacity_units.count(stack, client, Path(folder), workload.case)
                batches = stores_of(stack.environment).log.read(used.run_id)
                statuses = statuses_of(
                    event_type_of(line) for each in batches for line in each.lines
                )
                spans = read(Path(folder))[seen:]
                table = stack.environment["RECORDS_TABLE"]
                found[workload.name] = writes_of(spans, table, statuses)
    return found


def report(counted: Mapping[str, list[Write]], rates: Sequence[float], seconds: float) -> None:
    """Print what each key takes of a run, the rate at which it is full, and what happens there."""
    for name, writes in counted.items():
        print(f"\n{name}\n\n| key | units per run | full at, runs/s |\n| --- | ---: | ---: |")
        for key, used in units_per_run(writes).items():
            print(f"| `{key}` | {used:.3g} | {KEY_UNITS_PER_SECOND / used:,.0f} |")
        print("\n| runs/s | writes rejected | given up | ends later, p99 | by |")
        print("| ---: | ---: | ---: | ---: | --- |")
        for rate in rates:
            result = play(writes, rate, seconds)
            print(
                f"| {rate:g} | {result.throttled / result.writes:.1%}"
                f" | {result.given_up / result.writes:.1%}"
                f" | {result.delay_p99:.1f} s | {result.hottest} |",
                flush=True,
            )


def main() -> None:
    """Count, play, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    rates = [28.0, 100.0, 200.0, 240.0, 300.0, 450.0, 550.0, 700.0]
    parser.add_argument("--rates", type=float, nargs="+", default=rates, help="runs a second")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long runs are started")
    arguments = parser.parse_args()
    report(count(), arguments.rates, arguments.seconds)


if __name__ == "__main__":
    main()
