"""The log: every fact about a run, in order, and the rule by which it grows.

An item holds a batch of consecutive events and is keyed by the first one's sequence. **Append is
one conditional put at last + 1**:

    writer A   saw 5 ──────────────put at 6 ✗  (6 is taken: A reads on from 5 and decides anew)
    writer B   saw 5 ── put at 6 ✓

so a batch is there whole or not at all, sequences have no gap and no repeat, and a writer can claim
only the slot after the last event that it has seen.
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
# One event may be larger than this, up to MAX_INLINE_BYTES; it then is a batch of its own.
MAX_BATCH_BYTES = 64 * 1024

# A write unit is paid for each KB of an item, begun ones whole. Around its lines an item has names,
# the run's id, of 36 characters, and two numbers, which take a byte for two digits.
_UNIT_BYTES = 1024
_ITEM_OVERHEAD_BYTES = 70


@dataclass(frozen=True)
class Batch:
    """Consecutive events as lines of JSON in UTF-8; the first has sequence `first`."""

    first: int
    lines: tuple[bytes, ...]

    @property
    def last(self) -> int:
        """The sequence of the last line."""
        return self.first + len(self.lines) - 1

    @property
    def is_end(self) -> bool:
        """Whether the last line ends the log."""
        return event_type_of(self.lines[-1]) in TERMINAL_TYPES

    def events(self) -> Iterator[Event]:
        """The lines as events."""
        return map(decode_event, self.lines)

    @cached_property
    def size(self) -> int:
        """How many bytes the lines have together."""
        return sum(map(len, self.lines))

    def after(self, sequence: int) -> "Batch":
        """The part of the batch behind `sequence`."""
        done = sequence + 1 - self.first
        if done <= 0:
            return self
        return Batch(self.first + done, self.lines[done:])


@dataclass
class _BatchBuilder:
    """A batch on its way into the table. `payloads` maps a line's place to its data's key in S3.

    `is_told` says that it holds an event that others are told of.
    """

    first: int
    lines: list[bytes] = field(default_factory=list)
    size: int = 0
    payloads: dict[str, str] = field(default_factory=dict)
    is_told: bool = False


class EventLog:
    """The events table."""

    def __init__(self, table: Table, payloads: Payloads) -> None:
        self._table = table
        self._payloads = payloads

    def append(
        self,
        run_id: str,
        last: int,
        drafts: Sequence[NewEvent],
        changes: Sequence[TransactWriteItem] = (),
    ) -> list[Event]:
        """Append the drafts behind event `last`, together with `changes` to records.

        Without changes, a long append is put batch by batch; with changes, it is there whole or not
        at all: a question must not be seen before its record is.

        Raises AppendConflictError where another writer was first, or where a change's own condition
        did not hold.
        """
        events = assign_sequences(drafts, after=last)
        batches = self._batches(run_id, events)
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
                puts = [self._table.put_change(item, if_absent=True) for item in items]
                transact(self._table.client, [*puts, *changes])
            else:
                self._table.put(items[0], if_absent=True)
        except ConditionFailedError as error:
            # A call whose answer was lost is sent again by boto3 and then meets its own item.
            found = error.items.get(0) or self._item(run_id, batch.first)
            if found is None or lines_of(found)[0] != batch.lines[0]:
                lost = {metrics.APPEND_CONFLICTS: 1}
                metrics.record("append conflict", lost, run_id=run_id, sequence=batch.first)
                raise AppendConflictError(f"{run_id} at {batch.first}") from error

    def _item(self, run_id: str, sequence: int) -> Item | None:
        return self._table.get({"run_id": run_id, "sequence": sequence})

    def _batches(self, run_id: str, events: Sequence[Event]) -> list[_BatchBuilder]:
        batches: list[_BatchBuilder] = []
        for event in events:
            data = to_json(event.data)
            line, payload = encode_with_data(event, data), None
            # A payload counts here although it is kept elsewhere: so it is alone in its batch, and
            # a reader, who puts it back, has one at a time.
            size = len(line)
            if size > MAX_INLINE_BYTES:
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
            batch.is_told |= event.type in LIFECYCLE_TYPES
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
        """The batches behind event `after`, up to event `until`, page by page as they are taken.

        A reader that knows that a batch ends with `after` says so with `between_batches`: then
        nothing is read twice.
        """
        condition, values = (
            "#run_id = :run_id AND #sequence > :from",
            {
                "run_id": run_id,
                # A batch has at most 100 events, so the one that holds `after` + 1 starts behind
                # this.
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
        """The events behind `after`, with large payloads put back."""
        for batch in self.read(run_id, after):
            yield from batch.events()

    def last(self, run_id: str) -> tuple[int, bool]:
        """The sequence of the newest event (0 where there is none), and whether it ends the log."""
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
        """Every run that has events. Reads the whole table."""
        return set(self._table.scan("run_id"))

    def batch_of(self, item: Item) -> Batch:
        """The batch that an item of the table holds, with large payloads put back."""
        if int(item["v"]) > SCHEMA_VERSION:
            raise StoreUnavailableError("the log was written by a newer release")
        lines = lines_of(item)
        for place, key in item.get("payloads", {}).items():
            event = decode_event(lines[int(place)])
            lines[int(place)] = encode_with_data(event, self._payloads.fetch_text(key))
        return Batch(int(item["sequence"]), tuple(lines))


def lines_of(item: Item) -> list[bytes]:
    """The lines of a batch, by its item; a large payload is not in them."""
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
        # The filter of the table's stream lets only these through: most batches are deltas.
        "publish": batch.is_told or None,
    }


def write_units(lines: Sequence[bytes]) -> int:
    """What the put of a batch is billed as; in a transaction, twice as much."""
    packed = _compress_if_cheaper(b"\n".join(lines)).popitem()[1]
    return _write_units(packed if isinstance(packed, bytes) else packed.encode())


def _compress_if_cheaper(plain: bytes) -> dict[str, str | bytes]:
    """The lines as they go on the wire; compressed where that takes fewer write units."""
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
