"""What DynamoDB returns under load does not reach a caller of the stores."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from runyard_service.adapters.dynamodb.attributes import ConditionFailedError, transact
from runyard_service.adapters.dynamodb.table import Table
from runyard_service.adapters.stores import Stores
from runyard_service.domain.errors import StoreRejectedError, StoreUnavailableError
from runyard_service.domain.ids import new_id
from tests.support.run_factory import create_run
from tests.support.servers.strict_dynamodb.faults import (
    FaultKind,
    injected,
    late_index_entries,
)

THROTTLES: Sequence[FaultKind] = ("throttle", "key_throttle")


@pytest.fixture
def table(stores: Stores) -> Table:
    """Return the records table."""
    return stores.runs._table


@pytest.fixture
def keys(table: Table) -> Iterator[list[dict[str, str | int]]]:
    """Return the keys of ten items of one partition, which the test may write."""
    partition = f"TEST#{new_id()}"
    listed: list[dict[str, str | int]] = [
        {"pk": partition, "sk": f"{number:02d}"} for number in range(10)
    ]
    yield listed
    table.delete_many(listed)


def put_all(table: Table, keys: Sequence[dict[str, str | int]]) -> None:
    for number, key in enumerate(keys):
        table.put({**key, "number": number})


@pytest.mark.parametrize("operation", ["PutItem", "UpdateItem", "DeleteItem"])
def test_a_single_write_during_a_transaction_is_repeated(
    table: Table, keys: list[dict[str, str | int]], operation: str
) -> None:
    key = keys[0]
    table.put({**key, "number": 0})
    write: Any = {
        "PutItem": lambda: table.put({**key, "number": 1}),
        "UpdateItem": lambda: table.update(key, {"number": 1}),
        "DeleteItem": lambda: table.delete(key),
    }[operation]
    with injected("conflict", times=3, operation=operation, key=str(key["pk"])) as fault:
        write()
    assert fault.hits == 3
    stored = table.get(key)
    assert (stored and stored["number"]) == (None if operation == "DeleteItem" else 1)


def test_a_repeated_write_still_checks_its_condition(
    table: Table, keys: list[dict[str, str | int]]
) -> None:
    table.put(keys[0])
    with injected("conflict", operation="PutItem") as fault, pytest.raises(ConditionFailedError):
        table.put(keys[0], if_absent=True)
    assert fault.hits == 1


@pytest.mark.parametrize("kind", ["conflict", *THROTTLES])
def test_a_canceled_transaction_is_repeated(
    table: Table, keys: list[dict[str, str | int]], kind: FaultKind
) -> None:
    with injected(kind, times=3, operation="TransactWriteItems") as fault:
        transact(table.client, [table.put_change(key) for key in keys])
    assert fault.hits == 3
    assert len(list(table.batch_get(keys))) == 10


def test_a_write_stops_after_ten_conflicts(
    table: Table, keys: list[dict[str, str | int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    with (
        injected("conflict", times=20, operation="PutItem") as fault,
        pytest.raises(StoreUnavailableError, match="TransactionConflictException"),
    ):
        table.put(keys[0])
    assert fault.hits == 10


def test_an_invalid_transaction_is_not_repeated(
    table: Table, keys: list[dict[str, str | int]]
) -> None:
    table.put(keys[0])
    too_long = table.update_change(keys[0], {"started_key": "x" * 1025})
    with pytest.raises(StoreRejectedError, match="beyond allowed size limits"):
        transact(table.client, [too_long])


@pytest.mark.parametrize("kind", THROTTLES)
@pytest.mark.parametrize("operation", ["GetItem", "PutItem", "Query", "BatchGetItem"])
def test_a_throttled_call_is_repeated(
    table: Table, keys: list[dict[str, str | int]], kind: FaultKind, operation: str
) -> None:
    put_all(table, keys)
    call: Any = {
        "GetItem": lambda: table.get(keys[0]),
        "PutItem": lambda: table.put({**keys[0], "number": 0}),
        "Query": lambda: list(table.query("#pk = :pk", {":pk": keys[0]["pk"]}, limit=1)),
        "BatchGetItem": lambda: list(table.batch_get(keys[:1])),
    }[operation]
    with injected(kind, times=1, operation=operation, key=str(keys[0]["pk"])) as fault:
        call()
    assert fault.hits == 1


def test_unprocessed_keys_and_items_are_requested_again(
    table: Table, keys: list[dict[str, str | int]]
) -> None:
    put_all(table, keys)
    with injected("unprocessed", times=3, operation="BatchGetItem") as fault:
        found = sorted(int(item["number"]) for item in table.batch_get(keys))
    assert (found, fault.hits) == (list(range(10)), 3)
    with injected("unprocessed", times=3, operation="BatchWriteItem") as fault:
        table.delete_many(keys)
    assert fault.hits == 3
    assert list(table.batch_get(keys)) == []


@pytest.mark.parametrize("limit", [None, 1, 7])
def test_short_pages_are_continued(
    table: Table, keys: list[dict[str, str | int]], limit: int | None
) -> None:
    put_all(table, keys)
    with injected("short_page", times=100) as fault:
        found = table.query("#pk = :pk", {":pk": keys[0]["pk"]}, limit=limit, descending=True)
        numbers = [int(item["number"]) for item in found]
    assert numbers == list(range(9, 9 - (limit or 10), -1))
    assert fault.hits >= (1 if limit == 1 else 3)


def test_lists_are_complete_with_short_pages_and_late_entries(stores: Stores) -> None:
    project = f"project-{new_id()}"

    def listed() -> set[str]:
        return set(stores.run_lists.newest([project], frozenset(), None, 10))

    runs = {create_run(stores, project_id=project).id for _ in range(5)}
    with injected("short_page", times=100) as fault:
        assert listed() == runs
    assert fault.hits >= 1
    with late_index_entries(60) as late:
        recent = create_run(stores, project_id=project)
        # A reader of the record sees the run at once.
        assert stores.runs.get(recent.id) == recent
        assert listed() == runs
    assert late.hidden >= 1
    assert listed() == {*runs, recent.id}
