"""Test the append rule with a real store: no gaps, no losses, nothing after the end."""

import threading
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from random import Random
from typing import Any

import pytest
from botocore.httpsession import URLLib3Session

from runyard_dev.clients import client
from runyard_dev.dev_stack import DevStack
from runyard_service.adapters.dynamodb.event_log import MAX_BATCH_EVENTS, EventLog
from runyard_service.adapters.dynamodb.table import Table
from runyard_service.adapters.s3.bucket import Bucket
from runyard_service.adapters.s3.payloads import Payloads
from runyard_service.adapters.stores import Stores
from runyard_service.domain.clock import timestamp
from runyard_service.domain.errors import AppendConflictError
from runyard_service.domain.events import NewEvent
from runyard_service.domain.ids import new_id
from runyard_service.domain.runs import Run


def delta(text: str) -> NewEvent:
    return NewEvent(type="agent.response.delta", data={"delta": text})


END = NewEvent(type="run.completed", data={"status": "completed"})


def append_until_done(log: EventLog, run_id: str, new_events: list[NewEvent]) -> int:
    """Append by the rule, and read after each conflict; return the first sequence, or 0."""
    last, ended = log.last(run_id)
    while not ended:
        try:
            return log.append(run_id, last, new_events)[0].sequence
        except AppendConflictError:
            for batch in log.read(run_id, last):
                last, ended = batch.last, batch.is_end
    return 0


def test_sixteen_concurrent_writers_lose_no_events(stores: Stores) -> None:
    run_id, log = new_id(), stores.log
    start = threading.Barrier(16)

    def write(writer: int) -> list[tuple[int, str]]:
        start.wait()
        written = []
        for number in range(25):
            text = f"{writer}:{number}"
            count = 1 + (writer + number) % 3
            first = append_until_done(log, run_id, [delta(f"{text}:{n}") for n in range(count)])
            written += [(first + n, f"{text}:{n}") for n in range(count)]
        return written

    with ThreadPoolExecutor(16) as pool:
        acknowledged = sorted(chain.from_iterable(pool.map(write, range(16))))
    events = list(log.events(run_id))
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert [(event.sequence, event.data["delta"]) for event in events] == acknowledged


def test_nothing_is_appended_after_the_end(stores: Stores) -> None:
    run_id, log = new_id(), stores.log
    start = threading.Barrier(16)

    def write(writer: int) -> list[int]:
        start.wait()
        new_events = [END] if writer == 7 else [delta(str(writer))]
        return [append_until_done(log, run_id, new_events) for _ in range(10)]

    with ThreadPoolExecutor(16) as pool:
        acknowledged = sorted(filter(None, chain.from_iterable(pool.map(write, range(16)))))
    events = list(log.events(run_id))
    assert acknowledged == [event.sequence for event in events]
    assert [event.is_terminal for event in events].index(True) == len(events) - 1


def test_a_writer_can_only_append_after_the_events_it_has_read(stores: Stores) -> None:
    run_id, log = new_id(), stores.log
    log.append(run_id, 0, [delta("a")])
    log.append(run_id, 1, [delta("b"), delta("c"), delta("d")])
    with pytest.raises(AppendConflictError):
        log.append(run_id, 1, [delta("late")])
    assert log.last(run_id) == (4, False)


def test_long_and_large_appends_are_split_and_read_back_complete(stores: Stores) -> None:
    run_id, log = new_id(), stores.log
    texts = [str(number) for number in range(250)] + ["x" * 30_000] * 5
    log.append(run_id, 0, [delta(text) for text in texts])
    batches = list(log.read(run_id))
    assert max(len(batch.lines) for batch in batches) == MAX_BATCH_EVENTS
    assert [event.data["delta"] for event in log.events(run_id)] == texts
    for after in (0, 1, 99, 100, 101, 199, 254, 255):
        assert [e.sequence for e in log.events(run_id, after)] == list(range(after + 1, 256))
    middle = [e.sequence for batch in log.read(run_id, 98, until=102) for e in batch.events()]
    assert middle == [99, 100, 101, 102]


@pytest.mark.parametrize(
    ("texts", "is_packed"),
    [
        (["short"], False),
        (["once more, "] * 10, True),
        # 1.2 KB of random bytes, 1.6 KB as base64: two write units in both forms.
        ([b64encode(Random(1).randbytes(1200)).decode()], False),
        (["x" * 30_000, "größer"], True),
    ],
)
def test_a_batch_is_compressed_only_if_that_needs_fewer_write_units(
    stack: DevStack, stores: Stores, texts: list[str], is_packed: bool
) -> None:
    run_id, log = new_id(), stores.log
    log.append(run_id, 0, [delta(text) for text in texts])
    table = Table(client("dynamodb", stack.environment), stack.environment["EVENTS_TABLE"])
    item = table.get({"run_id": run_id, "sequence": 1})
    assert item is not None
    assert ("lines_z" in item, "lines" in item) == (is_packed, not is_packed)
    assert [event.data["delta"] for event in log.events(run_id)] == texts
    assert log.last(run_id) == (len(texts), False)


def test_a_long_append_with_changes_is_atomic(stores: Stores) -> None:
    run_id, log = new_id(), stores.log
    large = [delta(str(number) * 50_000) for number in range(4)]
    run = Run(
        id=run_id,
        project_id="p",
        org_id="o",
        app_id="a",
        agent="a@1",
        definition_digest="d",
        input={},
        started_at=timestamp(),
    )
    token = stores.input_requests.pause_change(run_id, "token", [])
    # The run has no record, so it cannot be changed.
    impossible = stores.runs.execution_change(run, 1)
    with pytest.raises(AppendConflictError):
        log.append(run_id, 0, large, [token, impossible])
    assert log.last(run_id) == (0, False)
    assert stores.input_requests.token(run_id) is None
    log.append(run_id, 0, large, [token])
    assert [event.data for event in log.events(run_id)] == [new_event.data for new_event in large]
    assert len(list(log.read(run_id))) == 4
    assert stores.input_requests.token(run_id) == "token"


def test_payloads_are_read_back_batch_by_batch(stores: Stores) -> None:
    """The reader must hold one payload at a time, and not a hundred."""
    run_id, log = new_id(), stores.log
    texts = ["a", *[str(number) * 150_000 for number in range(3)], "b", "c"]
    log.append(run_id, 0, [delta(text) for text in texts])
    batches = [[event.data["delta"] for event in batch.events()] for batch in log.read(run_id)]
    assert batches == [["a"], *([text] for text in texts[1:4]), ["b", "c"]]


def test_a_large_payload_is_stored_in_s3_and_restored(stores: Stores, stack: DevStack) -> None:
    run_id, log = new_id(), stores.log
    large = "é" * 150_000
    log.append(run_id, 0, [delta("a"), delta(large), delta("b")])
    assert [event.data["delta"] for event in log.events(run_id)] == ["a", large, "b"]
    stored = stack.client("s3").list_objects_v2(
        Bucket=stack.environment["BUCKET"], Prefix=f"runs/{run_id}/"
    )
    assert stored["KeyCount"] == 1


def test_an_append_whose_response_was_lost_is_not_repeated(stack: DevStack, stores: Stores) -> None:
    """boto3 sends such a call again, and the second write finds its own item."""
    dynamodb, session = client("dynamodb", stack.environment), URLLib3Session()
    lost: list[str] = []

    def lose_first_answer(request: Any, **_: Any) -> None:
        session.send(request)
        lost.append(request.headers["X-Amz-Target"].decode().partition(".")[2])

    dynamodb.meta.events.register("before-send.dynamodb.*", lose_first_answer)
    table = Table(dynamodb, stack.environment["EVENTS_TABLE"])
    lossy = EventLog(
        table, Payloads(Bucket(stack.environment["BUCKET"], lambda: stack.client("s3")))
    )
    other = table.put_change({"run_id": new_id(), "sequence": 1})

    run_id = new_id()
    first = lossy.append(run_id, 0, [delta("a"), delta("b")])
    second = lossy.append(run_id, 2, [delta("c")], [other])
    with pytest.raises(AppendConflictError):
        lossy.append(run_id, 0, [delta("another")])
    assert list(stores.log.events(run_id)) == [*first, *second]
    assert lost == ["PutItem", "TransactWriteItems", "PutItem"]
    session.close()
    dynamodb.close()
