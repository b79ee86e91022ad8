"""The log: every fact about a run, in order, and the rule for appending to it.

An item holds a batch of consecutive events; its key is the sequence of the first event. **An append
is one conditional write at last + 1**:

    writer A   saw 5 ────────────────write at 6 ✗  (6 exists: A reads from 5 and decides again)
    writer B   saw 5 ── write at 6 ✓

So a batch is stored completely or not at all, and sequences have no gaps and no duplicates. A
writer can append only directly after the last event that it has seen.
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from runyard_service.adapters.dynamodb.attributes import (
    ConditionFailedError,
    Item,
    TransactWriteItem,
    transact,
)
from runyard_service.adapters.dynamodb.table import Table
from runyard_service.adapters.json_fields import compress
from runyard_service.adapters.s3.payloads import MAX_INLINE_BYTES, Payloads
from runyard_service.domain.errors import AppendConflictError, StoreUnavailableError
from runyard_service.domain.events import (
    LIFECYCLE_TYPES,
    SCHEMA_VERSION,
    TERMINAL_TYPES,
    Event,
    NewEvent,
    assign_sequences,
    decode_event,
    encode_with_data,
    event_type_of,
    to_json,
)
from runyard_service.observability import metrics

MAX_BATCH_EVENTS = 100
# A single event may be larger than this, up to MAX_INLINE_BYTES. It then has its own batch.
MAX_BATCH_BYTES = 64 * 1024
# The bytes of all events that one transaction stores inline. DynamoDB rejects transactions above
# 4 MB, and a pause also writes its input requests.
MAX_TRANSACTION_EVENT_BYTES = 2 * 1024 * 1024

# AWS bills a write unit for each started KB of an item. Besides its lines, an item has attribute
# names, the run's id of 36 characters, and two numbers, which take a byte for two digits.
_UNIT_BYTES = 1024
_ITEM_OVERHEAD_BYTES = 70


@dataclass(frozen=True)
class Batch:
    """Consecutive events as lines of JSON in UTF-8; the first line has sequence `first`."""

    first: int
    lines: tuple[bytes, ...]

    @property
    def last(self) -> int:
        """Return the sequence of the last line."""
        return self.first + len(self.lines) - 1

    @property
    def is_end(self) -> bool:
        """Return whether the last line is a terminal event."""
        return event_type_of(self.lines[-1]) in TERMINAL_TYPES

    def events(self) -> Iterator[Event]:
        """Return the events of the lines."""
        return map(decode_event, self.lines)

    @cached_property
    def size(self) -> int:
        """The total size of the lines, in bytes."""
        return sum(map(len, self.lines))

    def after(self, sequence: int) -> "Batch":
        """Return the part of the batch after `sequence`."""
        skipped = sequence + 1 - self.first
        if skipped <= 0:
            return self
        return Batch(self.first + skipped, self.lines[skipped:])


@dataclass
class _BatchBuilder:
    """A batch that is not yet written. `payloads` maps a line's index to its data's key in S3.

    `is_published` is True if the batch contains an event for the event bus and webhooks.
    """

    first: int
    lines: list[bytes] = field(default_factory=list)
    size: int = 0
    payloads: dict[str, str] = field(default_factory=dict)
    is_published: bool = False


class EventLog:
    """The events table."""

    def __init__(self, table: Table, payloads: Payloads) -> None:
        self._table = table
        self._payloads = payloads

    def append(
        self,
        run_id: str,
        last: int,
        new_events: Sequence[NewEvent],
        changes: Sequence[TransactWriteItem] = (),
    ) -> list[Event]:
        """Append the new events after event `last`, together with `changes` to records.

        Without changes, a long append is written batch by batch. With changes, a single transaction
        writes everything: a reader must not see an input request before its record exists. With
        many events, shorter payloads are stored in S3 too, so the transaction is below 4 MB.

        Raises AppendConflictError if another writer was first, or if the condition of a change does
        not hold.
        """
        events = assign_sequences(new_events, after=last)
        limit = MAX_INLINE_BYTES
        if changes and events:
            limit = min(limit, MAX_TRANSACTION_EVENT_BYTES // len(events))
        batches = self._build_batches(run_id, events, limit)
        if changes:
            self._write(run_id, batches, changes)
        else:
            for batch in batches:
                self._write(run_id, [batch])
        return events

    def _write(
        self,
        run_id: str,
        batches: Sequence[_BatchBuilder],
        changes: Sequence[TransactWriteItem] = (),
    ) -> None:
        batch, items = batches[0], [_to_item(run_id, batch) for batch in batches]
        try:
            if changes:
                appends = [self._table.put_change(item, if_absent=True) for item in items]
                transact(self._table.client, [*appends, *changes])
            else:
                self._table.put(items[0], if_absent=True)
        except ConditionFailedError as error:
            # boto3 repeats a call whose response was lost. The repetition finds its own item.
            stored = error.items.get(0) or self._get_item(run_id, batch.first)
            if stored is None or lines_of(stored)[0] != batch.lines[0]:
                conflict = {metrics.APPEND_CONFLICTS: 1}
                metrics.record("append conflict", conflict, run_id=run_id, sequence=batch.first)
                raise AppendConflictError(f"{run_id} at {batch.first}") from error

    def _get_item(self, run_id: str, sequence: int) -> Item | None:
        return self._table.get({"run_id": run_id, "sequence": sequence})

    def _build_batches(
        self, run_id: str, events: Sequence[Event], max_inline_bytes: int
    ) -> list[_BatchBuilder]:
        batches: list[_BatchBuilder] = []
        for event in events:
            data = to_json(event.data)
            line, payload = encode_with_data(event, data), None
            # The size includes a payload in S3. So its event is alone in its batch, and a reader
            # that inserts payloads has a single payload in memory at a time.
            size = len(line)
            if size > max_inline_bytes:
                payload = self._payloads.save_text(run_id, data)
                line = encode_with_data(event, b"{}")
            batch = batches[-1] if batches else None
            if (
                batch is None
                or len(batch.lines) == MAX_BATCH_EVENTS
                or batch.size + size > MAX_BATCH_BYTES
            ):
                batch = _BatchBuilder(event.sequence)
                batches.append(batch)
            if payload is not None:
                batch.payloads[str(len(batch.lines))] = payload
            batch.lines.append(line)
            batch.size += size
            batch.is_published |= event.type in LIFECYCLE_TYPES
        return batches

    def read(
        self,
        run_id: str,
        after: int = 0,
        *,
        until: int | None = None,
        consistent: bool = True,
        between_batches: bool = False,
    ) -> Iterator[Batch]:
        """Yield the batches after event `after`, up to event `until`; read pages on demand.

        A reader that knows that a batch ends with `after` passes `between_batches`. Then no batch
        is read twice.
        """
        condition, values = (
            "#run_id = :run_id AND #sequence > :from",
            {
                "run_id": run_id,
                # A batch has at most 100 events, so the batch with `after` + 1 starts after this.
                "from": after if between_batches else after - MAX_BATCH_EVENTS,
            },
        )
        if until is not None:
            condition = "#run_id = :run_id AND #sequence BETWEEN :from AND :until"
            values |= {"from": after - MAX_BATCH_EVENTS + 1, "until": until}
        values = {f":{name}": value for name, value in values.items()}
        for item in self._table.query(condition, values, consistent=consistent):
            batch = self.batch_of(item).after(after)
            if until is not None and batch.last > until:
                batch = Batch(batch.first, batch.lines[: until + 1 - batch.first])
            if batch.lines:
                yield batch

    def events(self, run_id: str, after: int = 0) -> Iterator[Event]:
        """Yield the events after `after`, with large payloads inserted."""
        for batch in self.read(run_id, after):
            yield from batch.events()

    def last(self, run_id: str) -> tuple[int, bool]:
        """Return the sequence of the newest event, 0 without events, and whether it is terminal."""
        newest = self._table.query(
            "#run_id = :run_id", {":run_id": run_id}, descending=True, limit=1
        )
        for item in newest:
            lines = lines_of(item)
            return int(item["sequence"]) + len(lines) - 1, event_type_of(
                lines[-1]
            ) in TERMINAL_TYPES
        return 0, False

    def run_ids(self) -> set[str]:
        """Return the id of every run that has events. Reads the whole table."""
        return set(self._table.scan("run_id"))

    def batch_of(self, item: Item) -> Batch:
        """Return the batch of an item of the table, with large payloads inserted."""
        if int(item["v"]) > SCHEMA_VERSION:
            raise StoreUnavailableError("the log was written by a newer release")
        lines = lines_of(item)
        for index, key in item.get("payloads", {}).items():
            event = decode_event(lines[int(index)])
            lines[int(index)] = encode_with_data(event, self._payloads.fetch_text(key))
        return Batch(int(item["sequence"]), tuple(lines))


def lines_of(item: Item) -> list[bytes]:
    """Return the lines of a batch's item, without large payloads."""
    if "lines" in item:
        plain: bytes = item["lines"].encode()
    else:
        plain = zlib.decompress(bytes(item["lines_z"]))
    return plain.split(b"\n")


def _to_item(run_id: str, batch: _BatchBuilder) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "sequence": batch.first,
        "v": SCHEMA_VERSION,
        **_compress_if_cheaper(b"\n".join(batch.lines)),
        "payloads": batch.payloads or None,
        # The filter of the table's stream passes only these batches: most batches are deltas.
        "publish": batch.is_published or None,
    }


def write_units(lines: Sequence[bytes]) -> int:
    """Return the write units of writing a batch. A transaction takes twice as many."""
    packed = _compress_if_cheaper(b"\n".join(lines)).popitem()[1]
    return _write_units(packed if isinstance(packed, bytes) else packed.encode())


def _compress_if_cheaper(plain: bytes) -> dict[str, str | bytes]:
    """Return the attribute that stores the lines, compressed if that takes fewer write units."""
    if _write_units(plain) == 1:
        return {"lines": plain.decode()}
    packed = compress(plain)
    return (
        {"lines_z": packed}
        if _write_units(packed) < _write_units(plain)
        else {"lines": plain.decode()}
    )


def _write_units(content: bytes) -> int:
    return -(-(len(content) + _ITEM_OVERHEAD_BYTES) // _UNIT_BYTES)
