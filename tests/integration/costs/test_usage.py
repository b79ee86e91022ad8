"""Usage is exactly the sum of the ended runs, in every order and repetition of their ends."""

import random
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, get_args

import pytest

from runyard_dev.clients import client
from runyard_dev.dev_stack import DevStack
from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.dynamodb.table import Table
from runyard_service.adapters.dynamodb.usage.counters import Dimensions, UsageCounters
from runyard_service.adapters.stores import Stores
from runyard_service.adapters.stream_records import image_of
from runyard_service.application.runs.delete_run import delete_run
from runyard_service.application.webhooks.publish_events import publish_events
from runyard_service.container import Container
from runyard_service.domain.clock import timestamp_in
from runyard_service.domain.events import NewEvent
from runyard_service.domain.ids import new_id
from runyard_service.domain.runs import ENDED, Run, Usage
from runyard_service.domain.usage_totals import UsageTotals, sum_of
from runyard_service.settings import Settings
from tests.simulation.lossy_client import (
    FailureMode,
    FailurePlan,
    LossyClient,
    ProcessLostError,
)
from tests.support.run_factory import create_run
from tests.support.servers.strict_dynamodb.faults import injected

# Around midnight, and in the middle of a day.
ENDS = (
    *("2026-06-10T23:59:59.999Z", "2026-06-11T00:00:00.000Z", "2026-06-11T12:00:00.000Z"),
    *("2026-06-11T23:59:59.999Z", "2026-06-12T00:00:00.001Z"),
)
FIRST, LAST = date(2026, 6, 9), date(2026, 6, 13)
COSTS = (None, Decimal(0), Decimal("0.000000000001"), Decimal("12.345678901234"))


def some_ended_run(dice: random.Random, stores: Stores, project_id: str) -> Run:
    model = dice.choice(["fast", "slow", ""])
    usage = Usage(
        input_tokens=dice.randrange(10_000),
        output_tokens=dice.randrange(100),
        cached_input_tokens=dice.randrange(50),
        cache_write_tokens=dice.randrange(50),
        cost_usd=dice.choice(COSTS),
        steps=dice.randrange(3),
    )
    return create_run(
        stores,
        project_id=project_id,
        agent=dice.choice(["triage@1", "triage@2", "orders@1"]),
        model=model,
        fallback_model=dice.choice(["", "fallback"]) if model else "",
        user_id=dice.choice(["ada", "b#ob", "\N{SNOWMAN}" * 256, None]),
        status=dice.choice(sorted(ENDED)),
        started_at="2026-06-10T01:00:00.000Z",
        ended_at=dice.choice(ENDS),
        usage=usage if dice.random() < 0.9 else Usage(),
    )


def dimensions_of(run: Run) -> Dimensions:
    assert run.ended_at is not None
    agent, _, _ = run.agent.partition("@")
    user_id = run.user_id or ""
    return Dimensions(run.project_id, run.ended_at[:10], agent, run.model_in_use, user_id)


def totals_of_runs(runs: Sequence[Run]) -> dict[Dimensions, UsageTotals]:
    """Return the totals by definition."""
    found: dict[Dimensions, list[UsageTotals]] = {}
    for run in runs:
        found.setdefault(dimensions_of(run), []).append(UsageTotals.of_run(run.status, run.usage))
    return {dimensions: sum_of(totals) for dimensions, totals in found.items()}


def counted(stores: Stores, project_id: str) -> dict[Dimensions, UsageTotals]:
    found: dict[Dimensions, UsageTotals] = {}
    for dimensions, totals in stores.usage_days.of_project(project_id, FIRST, LAST):
        found[dimensions] = found.get(dimensions, UsageTotals()).plus(totals)
    return found


@dataclass
class Deliveries:
    """Processes that count runs at the same time; some are lost or suspended at a write."""

    table: Table
    dice: random.Random
    runs: Sequence[Run]
    suspended: list[tuple[LossyClient, threading.Thread]] = field(default_factory=list)

    def deliver(self) -> None:
        """Count a part of the runs, some of them twice, in a new process."""
        batch = self.dice.choices([run.id for run in self.runs], k=self.dice.randrange(1, 15))
        mode = self.dice.choice(get_args(FailureMode))
        plan = FailurePlan(self.dice.randrange(12), mode)
        lossy: Any = LossyClient(self.table.client, plan)

        def count() -> None:
            with suppress(ProcessLostError):
                UsageCounters(Table(lossy, self.table.name)).add(batch)
            lossy.suspended_or_ended.set()

        thread = threading.Thread(target=count)
        thread.start()
        if plan.suspends:
            assert lossy.suspended_or_ended.wait(60)
            self.suspended.append((lossy, thread))
        elif self.dice.random() < 0.5:
            thread.join()
        else:
            self.suspended.append((lossy, thread))

    def resume_all(self) -> None:
        """Let all processes end, in a random order."""
        self.dice.shuffle(self.suspended)
        for lossy, _ in self.suspended:
            lossy.resumed.set()
        for _, thread in self.suspended:
            thread.join(60)
            assert not thread.is_alive()


@pytest.fixture(scope="module")
def table(stack: DevStack) -> Table:
    return Table(client("dynamodb", stack.environment), stack.environment["RECORDS_TABLE"])


@pytest.mark.parametrize("seed", range(4))
def test_usage_is_the_sum_of_the_runs_in_every_order_of_deliveries(
    stores: Stores, table: Table, seed: int
) -> None:
    dice, project_id = random.Random(seed), f"p#{new_id()}"
    runs = [some_ended_run(dice, stores, project_id) for _ in range(25)]
    deliveries = Deliveries(table, dice, runs)
    for _ in range(15):
        deliveries.deliver()
    deliveries.resume_all()
    # What failed is delivered again, until all succeeded.
    stores.usage_counters.add([run.id for run in reversed(runs)])
    assert counted(stores, project_id) == totals_of_runs(runs)
    stores.usage_counters.add([run.id for run in runs])
    assert counted(stores, project_id) == totals_of_runs(runs)


def test_a_counter_with_many_writers_counts_each_run_once(stores: Stores) -> None:
    project_id = new_id()
    fields: dict[str, Any] = {"project_id": project_id, "status": "failed", "ended_at": ENDS[0]}
    runs = [create_run(stores, **fields) for _ in range(12)]
    same = [create_run(stores, id=f"{new_id()[:-4]}0000", **fields) for _ in range(12)]
    threads = [
        threading.Thread(target=stores.usage_counters.add, args=([run.id],))
        for run in (*runs, *same, *same)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counted(stores, project_id) == totals_of_runs([*runs, *same])


def test_only_ended_runs_are_counted(stores: Stores) -> None:
    project_id = new_id()
    active = create_run(stores, project_id=project_id, status="started")
    stores.usage_counters.add([active.id, new_id()])
    stores.usage_counters.add([])
    assert counted(stores, project_id) == {}


@dataclass
class Units:
    """The write units of the calls of a client, by the first part of the item's key."""

    used: Counter[str] = field(default_factory=Counter)
    _key: str = ""

    def ask(self, params: dict[str, Any], **_: Any) -> Any:
        """Ask for the units of a call."""
        self._key = str(params.get("Key", params.get("Item", {})).get("pk", {}).get("S", ""))
        return {**params, "ReturnConsumedCapacity": "INDEXES"}

    def add(self, parsed: dict[str, Any], **_: Any) -> None:
        """Add the units that a write consumed."""
        self.used[self._key.partition("#")[0]] += parsed["ConsumedCapacity"]["CapacityUnits"]


@pytest.fixture
def units(stores: Stores) -> Iterator[Units]:
    found = Units()
    events: Any = stores.runs._table.client.meta.events
    for operation in ("PutItem", "UpdateItem"):
        events.register(f"provide-client-params.dynamodb.{operation}", found.ask)
        events.register(f"after-call.dynamodb.{operation}", found.add)
    yield found
    for operation in ("PutItem", "UpdateItem"):
        events.unregister(f"provide-client-params.dynamodb.{operation}", found.ask)
        events.unregister(f"after-call.dynamodb.{operation}", found.add)


def test_the_counters_of_a_run_use_two_write_units(stores: Stores, units: Units) -> None:
    fields: dict[str, Any] = {"project_id": new_id(), "agent": "a" * 64 + "@1", "model": "m" * 64}
    ended: dict[str, Any] = {"status": "completed", "ended_at": ENDS[0], "user_id": "u" * 64}
    usage = Usage(input_tokens=10**9, output_tokens=10**9, cost_usd=COSTS[-1], steps=9)
    ids = [f"{new_id()[:-4]}0000" for _ in range(12)]
    runs = [create_run(stores, id=one, usage=usage, **fields, **ended) for one in ids]
    units.used.clear()
    for run in runs[:2]:
        stores.usage_counters.add([run.id])
    assert units.used == {"USAGE": 2, "COUNTED": 2}
    units.used.clear()
    stores.usage_counters.add([run.id for run in runs[2:]])
    assert units.used == {"USAGE": 1, "COUNTED": 10}


def records_of(table: Table, runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return the logs of the runs as records of the stream."""
    items = [
        item
        for run in runs
        for item in table.client.query(
            TableName=table.name,
            KeyConditionExpression="run_id = :run_id",
            ExpressionAttributeValues={":run_id": {"S": run.id}},
        )["Items"]
    ]
    return [
        {"dynamodb": {"NewImage": image_of(item), "SequenceNumber": str(number)}}
        for number, item in enumerate(items)
    ]


def test_the_stream_repeats_a_batch_whose_runs_could_not_be_counted(
    stores: Stores, stack: DevStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = Container()
    monkeypatch.setattr(parts, "settings", Settings.from_environment(stack.environment))
    for name, value in stack.environment.items():
        monkeypatch.setenv(name, value)
    project_id = new_id()
    ended: dict[str, Any] = {"project_id": project_id, "status": "canceled", "ended_at": ENDS[0]}
    runs = [create_run(stores, **ended) for _ in range(2)]
    for run in runs:
        stores.log.append(run.id, 0, [NewEvent("run.started", {"id": run.id})])
        stores.log.append(run.id, 1, [NewEvent("run.canceled", {"id": run.id})])
    table = Table(client("dynamodb", stack.environment), stack.environment["EVENTS_TABLE"])
    records = records_of(table, runs)
    with injected("throttle", times=1000, operation="PutItem", key="USAGE#"):
        assert publish_events(parts.publisher, records) == "1"
    assert counted(stores, project_id) == {}
    assert publish_events(parts.publisher, records[1:]) is None
    assert publish_events(parts.publisher, reversed(records)) is None
    assert counted(stores, project_id) == totals_of_runs(runs)


def test_a_run_that_the_stream_has_not_counted_is_counted_at_its_deletion(
    stores: Stores,
) -> None:
    project_id, dice = new_id(), random.Random(1)
    runs = [some_ended_run(dice, stores, project_id) for _ in range(4)]
    stores.usage_counters.add([runs[0].id])
    for run in runs:
        delete_run(stores, run.id)
    assert counted(stores, project_id) == totals_of_runs(runs)
    # The stream is late: its records of the deleted runs arrive now.
    stores.usage_counters.add([run.id for run in runs])
    assert counted(stores, project_id) == totals_of_runs(runs)
    receipt = stores.runs._table.get(keys.usage_receipt(runs[0].id))
    assert receipt is not None
    assert receipt["ttl"] > 0


def test_a_hidden_run_is_counted(stores: Stores) -> None:
    """It cannot be removed yet, because it has just ended."""
    now = timestamp_in(0)
    run = create_run(stores, project_id=new_id(), status="failed", ended_at=now)
    delete_run(stores, run.id)
    assert stores.runs.get(run.id) is None
    stores.usage_counters.add([run.id])
    today = date.fromisoformat(now[:10])
    days = (today, today + timedelta(days=1))
    ((_, totals),) = stores.usage_days.of_project(run.project_id, *days)
    assert (totals.runs, totals.failed) == (1, 1)
