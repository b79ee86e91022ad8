"""Test that a history from a checkpoint equals the history of the whole log."""

import gzip
from collections.abc import Callable
from typing import Any

import pytest

from runyard_dev.dev_stack import DevStack
from runyard_dev.open_store import stores_of
from runyard_service.adapters import history_cache
from runyard_service.adapters.dynamodb.event_log import EventLog
from runyard_service.adapters.s3.bucket import Bucket
from runyard_service.adapters.s3.checkpoints import Checkpoints
from runyard_service.adapters.stores import Stores
from runyard_service.application.runs.journal import Journal
from runyard_service.domain.events import NewEvent
from runyard_service.domain.history.history import History
from runyard_service.domain.ids import new_id
from runyard_service.domain.runs import Run
from tests.support.run_factory import create_run


@pytest.fixture
def run(stores: Stores) -> Run:
    """Create a run with a log of four responses, each with two deltas and a call."""
    run = create_run(stores)
    journal = Journal.open(stores, run.id)
    journal.start()
    for iteration in range(1, 5):
        journal.append(step(iteration))
    return run


def step(iteration: int) -> list[NewEvent]:
    """Return the events of one step."""
    call = {"id": new_id(), "name": "look", "input": {"at": "größe"}}
    delta = {"object": "agent.response", "delta": "x", "iteration": iteration}
    response = {"content": "xx", "iteration": iteration, "tool_calls": [call]}
    made = {"id": call["id"], "input": call["input"], "iteration": iteration}
    return [
        *[NewEvent(type="agent.response.delta", data=delta)] * 2,
        NewEvent(type="agent.message.completed", data=response),
        NewEvent(type="agent.tool_call.started", data=made),
        NewEvent(type="agent.tool_call.completed", data={**made, "result": "seen\n"}),
    ]


@pytest.fixture
def checkpointed_run(stores: Stores, run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return the same run with a checkpoint of these events and one more step."""
    monkeypatch.setattr(history_cache, "CHECKPOINT_EVERY_EVENTS", 10)
    journal = Journal.open(stores, run.id)
    run = stores.histories.checkpoint(run, journal.history)
    journal.append(step(5))
    assert run.checkpoint == 21
    found = stores.runs.get(run.id)
    assert found is not None
    assert found.checkpoint == 21
    return found


@pytest.fixture
def read_from(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that records the positions from which the log is read."""
    positions: list[int] = []
    events = EventLog.events

    def noted(self: EventLog, run_id: str, after: int = 0) -> Any:
        positions.append(after)
        return events(self, run_id, after)

    monkeypatch.setattr(EventLog, "events", noted)
    return positions


def empty_stores(stack: DevStack) -> Stores:
    """Return the stores of a process with empty caches."""
    return stores_of(stack.environment)


def content_of(history: History) -> dict[str, Any]:
    """Return all contents of a history."""
    return {name: repr(value) for name, value in vars(history).items()}


def whole_log(stores: Stores, run: Run) -> dict[str, Any]:
    """Return the contents of the history of the whole log."""
    return content_of(History.of(stores.log.events(run.id)))


def test_a_new_process_reads_the_checkpoint_and_later_events(
    stack: DevStack, stores: Stores, checkpointed_run: Run, read_from: list[int]
) -> None:
    journal = Journal.open(empty_stores(stack), checkpointed_run.id)
    assert read_from == [21]
    assert content_of(journal.history) == whole_log(stores, checkpointed_run)


def test_a_process_reads_only_events_after_its_last_message(
    stack: DevStack, stores: Stores, run: Run, read_from: list[int]
) -> None:
    warm = empty_stores(stack)
    Journal.open(warm, run.id).close()
    # Meanwhile another process advances the run.
    Journal.open(stores, run.id).append(step(5))
    read_from.clear()
    journal = Journal.open(warm, run.id)
    assert read_from == [21]
    assert content_of(journal.history) == whole_log(stores, run)


def test_two_workers_of_one_process_do_not_share_a_history(stores: Stores, run: Run) -> None:
    Journal.open(stores, run.id).close()
    first, second = Journal.open(stores, run.id), Journal.open(stores, run.id)
    first.append(step(5))
    assert second.history.last == 21
    second.catch_up()
    assert content_of(first.history) == content_of(second.history) == whole_log(stores, run)


def test_the_history_cache_is_bounded(
    stack: DevStack, run: Run, monkeypatch: pytest.MonkeyPatch, read_from: list[int]
) -> None:
    warm = empty_stores(stack)
    journal = Journal.open(warm, run.id)
    monkeypatch.setattr(history_cache, "MAX_CHARACTERS", journal.history.size_chars * 2 + 1)
    for name in (run.id, "second", "third"):
        warm.histories.cache(name, journal.history)
    read_from.clear()
    Journal.open(warm, run.id)
    assert read_from == [0]
    monkeypatch.setattr(history_cache, "MAX_CHARACTERS", 10)
    journal.close()
    Journal.open(warm, run.id)
    assert read_from == [0, 0]


def corrupt(change: Callable[[bytes], bytes]) -> Callable[[Stores, Any, str, Run], None]:
    def write(stores: Stores, s3: Any, bucket: str, run: Run) -> None:
        key = {"Bucket": bucket, "Key": f"checkpoints/{run.id}"}
        body = s3.get_object(**key)["Body"].read()
        s3.put_object(**key, Body=change(body))

    return write


def remove(stores: Stores, s3: Any, bucket: str, run: Run) -> None:
    s3.delete_object(Bucket=bucket, Key=f"checkpoints/{run.id}")


def run_ahead(stores: Stores, s3: Any, bucket: str, run: Run) -> None:
    """As after a restore of the events table, after which the run took another path."""
    journal = Journal.open(stores, run.id)
    ahead = journal.history
    [last] = journal.stores.log.append(new_id(), ahead.last, [step(1)[-1]])
    assert Checkpoints(Bucket(bucket, lambda: s3)).save(run.id, [*ahead.durable_events, last])


def other_form(body: bytes) -> bytes:
    return gzip.compress(gzip.decompress(body).replace(b'"form": 1', b'"form": 2'))


def without_its_start(body: bytes) -> bytes:
    head, _, *rest = gzip.decompress(body).split(b"\n")
    return gzip.compress(b"\n".join([head, *rest]))


@pytest.mark.parametrize(
    "harm",
    [
        remove,
        run_ahead,
        corrupt(lambda _: b"no archive"),
        corrupt(lambda _: b""),
        corrupt(lambda body: body[: len(body) // 2]),
        corrupt(lambda _: gzip.compress(b"no lines of ours")),
        corrupt(other_form),
        corrupt(without_its_start),
    ],
    ids=["missing", "ahead", "garbage", "empty", "torn", "foreign", "other form", "lost start"],
)
def test_an_unusable_checkpoint_only_costs_a_read_of_the_log(
    stack: DevStack,
    stores: Stores,
    checkpointed_run: Run,
    read_from: list[int],
    harm: Callable[[Stores, Any, str, Run], None],
) -> None:
    harm(stores, stack.client("s3"), stack.environment["BUCKET"], checkpointed_run)
    read_from.clear()
    journal = Journal.open(empty_stores(stack), checkpointed_run.id)
    assert read_from == [0]
    assert content_of(journal.history) == whole_log(stores, checkpointed_run)


def test_no_checkpoint_is_offered_during_a_response(
    stores: Stores, checkpointed_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_cache, "CHECKPOINT_EVERY_EVENTS", 1)
    journal = Journal.open(stores, checkpointed_run.id)
    journal.append(step(6)[:1])
    assert stores.histories.checkpoint(checkpointed_run, journal.history).checkpoint == 21
