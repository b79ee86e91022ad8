"""What the lists cost: 100,000 runs of one project, their first page and page 2,000.

    .venv/bin/python -m benchmarks.run_lists [number of runs]

Seeds its own store (dynoxide on disk, in a temporary folder) through the store's own item builder,
reads every list until its position markers are set, then measures. Units are what the emulator says
that DynamoDB would count (ReturnConsumedCapacity), times are this machine's. 100,000 runs take
about three minutes to seed.
"""

import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from runyard_dev.clients import client
from runyard_dev.dev_stack import DevStack
from runyard_service.adapters.dynamodb.attributes import to_attributes
from runyard_service.adapters.dynamodb.run_index.run_list_plan import RunFilter
from runyard_service.adapters.s3.bucket import Bucket
from runyard_service.adapters.stores import Stores
from runyard_service.domain.clock import timestamp
from runyard_service.domain.ids import derived_id, new_id
from runyard_service.domain.runs import ENDED, Run, RunStatus
from runyard_service.settings import Settings

PROJECT = "benchmark"
SPAN_DAYS = 300
STATUSES: dict[RunStatus, float] = {
    "completed": 0.88,
    "failed": 0.08,
    "canceled": 0.02,
    "paused": 0.018,
    "started": 0.002,
}


class Meter:
    """Counts calls, units and items of a boto3 client while it is in use."""

    def __init__(self, dynamodb: Any) -> None:
        """Watch the client's every call from now on."""
        self.calls = 0
        self.units = 0.0
        events = dynamodb.meta.events
        events.register("provide-client-params.dynamodb", self._ask)
        events.register("after-call.dynamodb", self._add)

    def _ask(self, params: dict[str, Any], **_: Any) -> dict[str, Any]:
        return {**params, "ReturnConsumedCapacity": "TOTAL"}

    def _add(self, parsed: dict[str, Any], **_: Any) -> None:
        used = parsed.get("ConsumedCapacity", [])
        self.calls += 1
        for each in used if isinstance(used, list) else [used]:
            self.units += each.get("CapacityUnits", 0.0)

    def measure(self, work: Callable[[], Any]) -> str:
        """Do the work; return its calls, units and milliseconds as columns."""
        self.calls, self.units, started = 0, 0.0, time.perf_counter()
        work()
        seconds = time.perf_counter() - started
        return f"{self.calls:6d} {self.units:9.1f} {seconds * 1000:9.1f}"


def some_runs(count: int) -> Iterator[Run]:
    """Runs spread over the days before today, most of them long over."""
    dice, first = random.Random(1), datetime.now(UTC) - timedelta(days=SPAN_DAYS)
    statuses, weights = list(STATUSES), list(STATUSES.values())
    for number in range(count):
        moment = first + timedelta(days=SPAN_DAYS * number / count)
        status = dice.choices(statuses, weights)[0]
        # One user has half of all runs: the case in which no list is short.
        user = "everybody" if number % 2 else f"customer-{dice.randrange(1_000)}"
        yield Run(
            id=new_id(),
            project_id=PROJECT,
            org_id="org",
            app_id=derived_id("app"),
            agent="support_triage@1",
            definition_digest="0" * 64,
            status=status,
            input={"ticket_subject": "Charged twice", "ticket_body": "x" * 400},
            output={"category": "billing", "answer": "x" * 400} if status == "completed" else None,
            user_id=user,
            session_id=derived_id("session", str(dice.randrange(5_000))),
            started_at=timestamp(moment),
            ended_at=timestamp(moment + timedelta(seconds=20)) if status in ENDED else None,
            open_requests=1 if status == "paused" else 0,
        )


def seed(dynamodb: Any, table: str, stores: Stores, count: int) -> None:
    """Write the runs in batches of 25."""

    def write(batch: Sequence[Run]) -> None:
        items = [to_attributes(stores.runs.to_item(run)) for run in batch]
        requests = {table: [{"PutRequest": {"Item": item}} for item in items]}
        while requests:
            requests = dynamodb.batch_write_item(RequestItems=requests)["UnprocessedItems"]

    runs = list(some_runs(count))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, (runs[n : n + 25] for n in range(0, count, 25))))


def measure_lists(stores: Stores, meter: Meter, count: int) -> None:
    """Each list's first page and a late one, 25 runs a page, with their records."""
    customer, everybody = {"user_id": "customer-7"}, {"user_id": "everybody"}
    session = {"session_id": derived_id("session", "7")}
    completed = {"statuses": frozenset({"completed"})}
    waiting = {"statuses": frozenset({"awaiting_input"})}
    agent = {"agent": "support_triage"}
    day = {"started_after": timestamp(datetime.now(UTC) - timedelta(days=1))}
    month = {"started_after": timestamp(datetime.now(UTC) - timedelta(days=30))}
    recent = {"ended_after": timestamp(datetime.now(UTC) - timedelta(days=1))}
    cases: list[tuple[str, dict[str, Any], str]] = [
        ("all", {}, "-started_at"),
        ("all", {}, "-ended_at"),
        ("all", {}, "status"),
        ("completed", completed, "-started_at"),
        ("completed", completed, "-ended_at"),
        ("completed, failed", {"statuses": frozenset({"completed", "failed"})}, "-started_at"),
        ("awaiting_input", waiting, "-started_at"),
        ("a customer", customer, "-started_at"),
        ("a customer", customer, "-ended_at"),
        ("a customer, completed", {**customer, **completed}, "-started_at"),
        ("a session", session, "-started_at"),
        ("user of half", everybody, "-started_at"),
        ("user of half, completed", {**everybody, **completed}, "-started_at"),
        ("user of half", everybody, "-ended_at"),
        ("an agent", agent, "-started_at"),
        ("since a day", day, "-started_at"),
        ("since 30 days", month, "-started_at"),
        ("agent, since 30 days", {**agent, **month}, "-started_at"),
        ("failed, since 30 days", {"statuses": frozenset({"failed"}), **month}, "-started_at"),
        ("ended since a day", recent, "-ended_at"),
        ("agent, ended since a day", {**agent, **recent}, "-ended_at"),
        ("agent, completed", {**agent, **completed}, "-started_at"),
    ]
    print(f"{'list':24} {'sort':12} {'page':>5} {'total':>7}  calls     units        ms")
    for name, fields, sort in cases:
        filters = RunFilter(PROJECT, **fields)
        total = 0
        for _ in range(count // 25_000 + 2):  # Each sets at most 100 position markers.
            total = stores.run_lists.page(filters, (sort,), 1, 1).total
        last = max(1, -(-total // 25))
        for page in sorted({1, min(last, 2_000 * count // 100_000), last}):

            def read(filters: RunFilter = filters, sort: str = sort, page: int = page) -> None:
                found = stores.run_lists.page(filters, (sort,), (page - 1) * 25 + 1, 25)
                assert len(stores.runs.many(found.ids)) == len(found.ids)

            print(f"{name:24} {sort:12} {page:5d} {total:7d} {meter.measure(read)}", flush=True)


def main() -> None:
    """Seed and measure."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with (
        tempfile.TemporaryDirectory() as folder,
        DevStack.start(data_dir=Path(folder), web=False, seed=False, sweep_seconds=None) as stack,
    ):
        dynamodb = client("dynamodb", stack.environment)
        settings = Settings.from_environment(stack.environment)
        tables = {"events_table": settings.events_table, "records_table": settings.records_table}
        stores = Stores.create(
            dynamodb, Bucket(settings.bucket, lambda: stack.client("s3")), **tables
        )
        started = time.perf_counter()
        seed(dynamodb, settings.records_table, stores, count)
        print(f"{count} runs seeded in {time.perf_counter() - started:.0f} s")
        meter = Meter(dynamodb)
        first = meter.measure(
            lambda: stores.run_lists.page(RunFilter(PROJECT), ("-started_at",), 1, 25)
        )
        print(f"the first list, which sets 100 position markers (calls, units, ms): {first}")
        measure_lists(stores, meter, count)


if __name__ == "__main__":
    main()
