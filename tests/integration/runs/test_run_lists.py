"""Test lists of runs against a simple reference: every filter, every order, every page."""

import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import combinations, permutations, product
from typing import Any, get_args

import pytest

from runyard_dev.clients import client
from runyard_dev.dev_stack import DevStack
from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.dynamodb.attributes import transact
from runyard_service.adapters.dynamodb.run_index import combined_filters, position_markers
from runyard_service.adapters.dynamodb.run_index.active_runs import ActiveRuns
from runyard_service.adapters.dynamodb.run_index.run_list_plan import (
    API_STATUSES,
    SORTABLE,
    RunFilter,
)
from runyard_service.adapters.dynamodb.runs import api_status
from runyard_service.adapters.dynamodb.table import Table
from runyard_service.adapters.stores import Stores
from runyard_service.domain.clock import timestamp
from runyard_service.domain.ids import derived_id, new_id
from runyard_service.domain.input_requests import InputRequest
from runyard_service.domain.runs import ENDED, Run, RunStatus

START = datetime(2025, 3, 1, tzinfo=UTC)
USERS = ("ada", "b#ob", None)
AGENTS = ("agent@1", "agent@2", "agent-b@1")
SESSIONS = (derived_id("one"), derived_id("two"), None)


@dataclass(frozen=True)
class Listing:
    """The runs of a project, and the stores that hold them."""

    stores: Stores
    runs: tuple[Run, ...]
    project_id: str

    def expected(self, run_filter: RunFilter, sort: Sequence[str]) -> list[str]:
        """Return the ids of the list by definition."""
        runs = [run for run in self.runs if fits(run, run_filter)]
        fields = list(sort)
        if not {"started_at", "-started_at"} & set(fields):
            fields.append("-started_at")
        runs.sort(key=lambda run: run.id, reverse="-started_at" in fields)
        for field in reversed(fields):
            runs.sort(key=value_of(field.removeprefix("-")), reverse=field.startswith("-"))
        return [run.id for run in runs]

    def check(self, run_filter: RunFilter, sort: Sequence[str], size: int, *pages: int) -> None:
        """Compare pages (by default all pages) with the definition."""
        expected = self.expected(run_filter, sort)
        for page in pages or range(1, len(expected) // size + 3):
            first = (page - 1) * size
            found = self.stores.run_lists.page(run_filter, sort, first + 1, size)
            context = f"{run_filter} {sort} page {page} of {size}"
            assert (list(found.ids), found.total) == (
                expected[first : first + size],
                len(expected),
            ), context


def status_of(run: Run) -> str:
    return api_status(run.status, run.open_requests)


def value_of(field: str) -> Any:
    return {
        "started_at": lambda run: run.started_at,
        "ended_at": lambda run: run.ended_at or "~",
        "status": status_of,
    }[field]


def fits(run: Run, run_filter: RunFilter) -> bool:
    return (
        (not run_filter.statuses or status_of(run) in run_filter.statuses)
        and run_filter.user_id in (None, run.user_id)
        and run_filter.session_id in (None, run.session_id)
        and run_filter.agent in (None, run.agent.partition("@")[0])
        and run_filter.started_after <= run.started_at < run_filter.started_before
        and (run_filter.ended_after is None or run_filter.ended_after <= (run.ended_at or ""))
    )


def some_run(dice: random.Random, project_id: str, moment: datetime) -> Run:
    """Return a run in any state; many share a millisecond with others, at their start or end."""
    status: RunStatus = dice.choice(get_args(RunStatus))
    ended_at = moment + timedelta(milliseconds=dice.randrange(3_000))
    return Run(
        id=new_id(),
        project_id=project_id,
        org_id="org",
        app_id="app",
        agent=dice.choice(AGENTS),
        definition_digest="0" * 64,
        status=status,
        input={"n": 1},
        user_id=dice.choice(USERS),
        session_id=dice.choice(SESSIONS),
        started_at=timestamp(moment),
        ended_at=timestamp(ended_at) if status in ENDED else None,
        open_requests=dice.randrange(2) if status in ("started", "paused") else 0,
    )


def write_all(table: Table, stores: Stores, runs: Sequence[Run]) -> None:
    """Write only the records, without the key by which the sweep finds them."""

    def write(run: Run) -> None:
        table.put({**stores.runs.to_item(run), "sweep_shard": None})

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(write, runs))


@pytest.fixture(scope="module")
def table(stack: DevStack) -> Table:
    return Table(client("dynamodb", stack.environment), stack.environment["RECORDS_TABLE"])


@pytest.fixture(scope="module")
def listing(stores: Stores, table: Table) -> Listing:
    """Write 300 runs of a project and runs of another, within three seconds of a past day."""
    project_id, dice = f"lists#{new_id()}", random.Random(7)
    runs = [
        some_run(dice, project_id, START + timedelta(milliseconds=10 * dice.randrange(100)))
        for _ in range(300)
    ]
    strangers = [some_run(dice, f"{project_id}#ada", START) for _ in range(20)]
    write_all(table, stores, [*runs, *strangers])
    return Listing(stores, tuple(runs), project_id)


def orders() -> Iterator[tuple[str, ...]]:
    """Yield every order of one, two or three fields."""
    for count in (1, 2, 3):
        for fields in permutations(SORTABLE, count):
            for signs in product(("", "-"), repeat=count):
                yield tuple(map("".join, zip(signs, fields, strict=True)))


def moment_of(milliseconds: int) -> str:
    return timestamp(START + timedelta(milliseconds=milliseconds))


def name_of(fields: dict[str, Any]) -> str:
    """Return the filter as a part of a test's name, the same in every process."""
    parts = [
        ",".join(sorted(value)) if isinstance(value, frozenset) else f"{name}={value}"
        for name, value in fields.items()
    ]
    return " and ".join(parts) or "everything"


FILTERS: list[dict[str, Any]] = [
    {},
    {"statuses": frozenset({"completed"})},
    {"statuses": frozenset({"awaiting_input"})},
    {"statuses": frozenset({"created"})},
    {"statuses": frozenset({"started", "failed", "awaiting_input"})},
    {"statuses": frozenset(API_STATUSES)},
    {"user_id": "ada"},
    {"user_id": "unknown"},
    {"session_id": SESSIONS[0]},
    {"user_id": "b#ob", "session_id": SESSIONS[1]},
    {"user_id": "ada", "statuses": frozenset({"paused", "completed"})},
    {"session_id": SESSIONS[0], "statuses": frozenset({"canceled"})},
    {"user_id": "ada", "session_id": SESSIONS[0], "statuses": frozenset({"created", "failed"})},
    {"agent": "agent"},
    {"agent": "agent-b", "user_id": "ada"},
]
TIME_FILTERS: list[dict[str, Any]] = [
    {"agent": "agent", "statuses": frozenset({"failed"}), "started_after": moment_of(300)},
    {"started_after": moment_of(400)},
    {"started_before": moment_of(610)},
    {"started_after": moment_of(200), "started_before": moment_of(700)},
    {"started_after": moment_of(200), "started_before": moment_of(201)},
    {"started_after": moment_of(0), "started_before": moment_of(10_000)},
    {"statuses": frozenset({"failed", "started"}), "started_before": moment_of(500)},
    {"user_id": "b#ob", "started_after": moment_of(250)},
    {"ended_after": moment_of(1_500)},
    {"ended_after": moment_of(1_500), "statuses": frozenset({"failed", "created"})},
    {"ended_after": moment_of(1_500), "statuses": frozenset({"created"})},
    {"ended_after": moment_of(900), "started_after": moment_of(100)},
    {"ended_after": moment_of(900), "agent": "agent", "started_before": moment_of(800)},
    {"ended_after": moment_of(900), "session_id": SESSIONS[0]},
]


@pytest.mark.parametrize("fields", FILTERS, ids=name_of)
def test_every_sort_order_of_a_filter_is_correct(listing: Listing, fields: dict[str, Any]) -> None:
    dice = random.Random(name_of(fields))
    run_filter = RunFilter(listing.project_id, **fields)
    for sort in orders():
        listing.check(run_filter, sort, dice.choice((7, 25, 60)), dice.randrange(1, 7))


@pytest.mark.parametrize("fields", TIME_FILTERS, ids=name_of)
def test_sort_orders_of_a_limited_time_are_correct(
    listing: Listing, fields: dict[str, Any]
) -> None:
    dice = random.Random(name_of(fields))
    run_filter = RunFilter(listing.project_id, **fields)
    for sort in dice.sample(list(orders()), 8):
        listing.check(run_filter, sort, 25, dice.randrange(1, 5))
    listing.check(run_filter, ("-started_at",), 60)


@pytest.mark.parametrize("fields", FILTERS, ids=name_of)
@pytest.mark.parametrize("sort", [("-started_at",), ("ended_at",), ("status", "-ended_at")])
def test_pages_are_complete_and_without_repeats(
    listing: Listing, fields: dict[str, Any], sort: tuple[str, ...]
) -> None:
    listing.check(RunFilter(listing.project_id, **fields), sort, size=19)


def test_every_set_of_statuses_is_counted(listing: Listing) -> None:
    for count in range(1, len(API_STATUSES) + 1):
        for statuses in combinations(API_STATUSES, count):
            run_filter = RunFilter(listing.project_id, frozenset(statuses))
            listing.check(run_filter, ("-started_at",), 40, 1)


def test_a_project_without_runs_has_an_empty_list(stores: Stores) -> None:
    found = stores.run_lists.page(RunFilter(new_id()), ("-started_at",), 1, 25)
    assert (found.ids, found.total) == ([], 0)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"user_id": "ada"},
        {"statuses": frozenset({"failed"})},
        {"agent": "agent"},
        {"started_after": moment_of(400)},
        {"agent": "agent", "started_after": moment_of(200), "started_before": moment_of(700)},
        {"user_id": "ada", "started_before": moment_of(610)},
        {"started_after": moment_of(10_000)},
        {"started_before": START.isoformat()},
        {"ended_after": moment_of(1_500)},
    ],
    ids=name_of,
)
@pytest.mark.parametrize("sort", ["-started_at", "started_at", "-ended_at", "ended_at"])
def test_lists_with_position_markers_are_the_same(
    listing: Listing, fields: dict[str, Any], sort: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(position_markers, "MARKER_INTERVAL", 10)
    run_filter = RunFilter(listing.project_id, **fields)
    listing.check(run_filter, (sort,), 13)
    listing.check(run_filter, (sort, "status"), 3, 1, 2, 5, 9)


@pytest.mark.parametrize(
    "fields", [fields for fields in (*FILTERS, *TIME_FILTERS) if fields], ids=name_of
)
def test_long_lists_are_merged_in_order(
    listing: Listing, fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(combined_filters, "_MAX_IN_MEMORY", 0)
    for sort in (("-started_at",), ("started_at",), ("-ended_at", "status")):
        listing.check(RunFilter(listing.project_id, **fields), sort, size=30)


def test_position_markers_are_set_only_where_no_run_can_be_added(
    stores: Stores, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(position_markers, "MARKER_INTERVAL", 10)
    project_id, dice = new_id(), random.Random(1)
    old = [some_run(dice, project_id, START + timedelta(hours=n)) for n in range(95)]
    new = [some_run(dice, project_id, datetime.now(UTC)) for _ in range(40)]
    write_all(table, stores, [*old, *new])
    listing = Listing(stores, (*old, *new), project_id)
    for page in (1, 4, 13, 14):
        listing.check(RunFilter(project_id), ("started_at",), 10, page)
    condition, values = (
        "#pk = :pk",
        {":pk": f"MARKERS#10#{keys.RUNS_BY_PROJECT_INDEX}#{project_id}"},
    )
    markers = list(table.query(condition, values))
    assert [int(marker["sk"]) for marker in markers] == list(range(10, 91, 10))
    in_order = sorted(old, key=lambda run: run.started_at)
    assert [marker["entry"].partition("#")[2] for marker in markers] == [
        in_order[position - 1].id for position in range(10, 91, 10)
    ]


def test_pages_sorted_from_the_oldest_do_not_change_while_runs_are_added(
    stores: Stores, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(position_markers, "MARKER_INTERVAL", 10)
    project_id, dice = new_id(), random.Random(2)
    first = [some_run(dice, project_id, START + timedelta(hours=n)) for n in range(120)]
    write_all(table, stores, first)

    def add() -> None:
        for _ in range(100):
            stores.runs.create(some_run(dice, project_id, datetime.now(UTC)))

    with ThreadPoolExecutor(1) as pool:
        adding = pool.submit(add)
        seen: list[str] = []
        totals = []
        while len(seen) < 120 or not adding.done():
            found = stores.run_lists.page(RunFilter(project_id), ("started_at",), len(seen) + 1, 7)
            seen += found.ids
            totals.append(found.total)
        adding.result()
    while rest := stores.run_lists.page(
        RunFilter(project_id), ("started_at",), len(seen) + 1, 7
    ).ids:
        seen += rest
    assert seen[:120] == [run.id for run in first]
    assert len(seen) == len(set(seen)) == 220
    assert totals == sorted(totals)


def test_a_run_moves_from_list_to_list_with_its_record(stores: Stores) -> None:
    project_id = new_id()
    run = replace_run(some_run(random.Random(3), project_id, datetime.now(UTC)))
    stores.runs.create(run)

    def statuses() -> list[str]:
        return [
            status
            for status in API_STATUSES
            if stores.run_lists.page(
                RunFilter(project_id, frozenset({status})), ("-started_at",), 1, 5
            ).ids
        ]

    def is_active() -> bool:
        return not ActiveRuns(table_of(stores)).project_has_capacity(project_id, 1)

    def change(*changes: Any) -> None:
        transact(table_of(stores).client, changes)

    runs, input_requests = stores.runs, stores.input_requests
    request = input_request(run)
    assert statuses() == ["created"]
    assert is_active()
    change(runs.status_change(run, "started"))
    assert statuses() == ["started"]
    assert is_active()
    change(
        runs.status_change(run, "paused", open_requests=2),
        *input_requests.create_changes([request]),
    )
    assert statuses() == ["awaiting_input"]
    assert input_requests.count_open(project_id) == 1
    assert input_requests.open_of_project(project_id, 1, 1) == [request]
    answered = input_requests.close_change(request, "answered", {"a": 1})
    change(runs.input_closed_change(run, 1), answered)
    assert statuses() == ["awaiting_input"]
    assert not is_active()
    assert input_requests.count_open(project_id) == 0
    paused = run.model_copy(update={"status": "paused"})
    change(runs.input_closed_change(paused, 0))
    assert statuses() == ["paused"]
    change(runs.status_change(run, "started"))
    assert statuses() == ["started"]
    assert is_active()
    change(runs.end_change(run, "failed", run.usage, ended_at=timestamp()))
    assert statuses() == ["failed"]
    assert not is_active()


def table_of(stores: Stores) -> Table:
    return stores.run_lists._table


def replace_run(run: Run) -> Run:
    return run.model_copy(update={"status": "created", "open_requests": 0, "ended_at": None})


def input_request(run: Run) -> InputRequest:
    return InputRequest(
        id=new_id(),
        run_id=run.id,
        project_id=run.project_id,
        agent=run.agent,
        sequence=3,
        type="human_feedback",
        tool_call_id="call",
        tool={"name": "ask-human", "type": "ask_human", "effect": "none"},
        prompt="Which?",
        params={},
        created_at=timestamp(),
    )
