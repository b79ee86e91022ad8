"""Calculate what a counted run would cost with other settings.

The log of the run shows when each event came and how large it is. The writes with another flush
window follow from that, and so do the reads of a tail with other pauses.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from runyard_service.adapters.dynamodb.event_log import (
    MAX_BATCH_BYTES,
    MAX_BATCH_EVENTS,
    Batch,
    write_units,
)
from runyard_service.domain.clock import parse
from runyard_service.domain.events import decode_event, event_type_of

_DELTAS = frozenset({"agent.response.delta", "agent.reasoning.delta"})
# A batch's item without its lines: names and values of the keys and of the first event's id.
_ITEM_BYTES = 110
# What half a read unit brings, where the read is eventually consistent.
_HALF_UNIT_BYTES = 4 * 1024
# The growth of the pause after an empty read; see `runyard_service.application.streams.tail`.
_GROWTH = 1.5


@dataclass(frozen=True)
class Line:
    """An event of the log: when it came, in seconds, and whether it is a part of a response."""

    text: bytes
    at: float
    is_delta: bool
    ends_response: bool


def lines_of(batches: Iterable[Batch]) -> list[list[Line]]:
    """Return the batches as writes; a tool call's start written with a response is a part of it."""
    writes: list[list[Line]] = []
    for batch in batches:
        write: list[Line] = []
        for line in map(_line, batch.lines):
            if (
                write
                and write[-1].ends_response
                and event_type_of(line.text) == "agent.tool_call.started"
            ):
                write[-1] = replace(write[-1], text=b"%b\n%b" % (write[-1].text, line.text))
            else:
                write.append(line)
        writes.append(write)
    return writes


def _line(text: bytes) -> Line:
    kind = event_type_of(text)
    at = parse(decode_event(text).timestamp).timestamp()
    return Line(text, at, kind in _DELTAS, kind == "agent.message.completed")


def units(writes: Iterable[Sequence[Line]]) -> int:
    """Return the write units of writes outside of transactions."""
    return sum(write_units([line.text for line in write]) for write in writes)


def regrouped(writes: Sequence[Sequence[Line]], window: float) -> list[list[Line]]:
    """Return the writes with this flush window, in seconds.

    The first delta of a response is written at once, and so is each delta after a window without
    writes. Several deltas that fill no write unit wait half a window longer. A response's end is
    written at once, with the deltas that wait. All other writes stay as they are.
    """
    found: list[list[Line]] = []
    waiting: list[Line] = []
    open_until = -math.inf
    for line in (line for write in writes for line in write if line.is_delta or line.ends_response):
        closes = open_until + (window / 2 if _wait_for_more(waiting) else 0)
        if waiting and line.at > closes:
            found.append(waiting)
            waiting, open_until = [], closes + window
        waiting.append(line)
        is_full = len(waiting) == MAX_BATCH_EVENTS or sum(map(_bytes, waiting)) > MAX_BATCH_BYTES
        if line.ends_response or is_full or (len(waiting) == 1 and line.at > open_until):
            found.append(waiting)
            waiting, open_until = [], -math.inf if line.ends_response else line.at + window
    rest = [
        [line for line in write if not line.is_delta and not line.ends_response] for write in writes
    ]
    return [*found, *filter(None, rest)]


def _wait_for_more(waiting: Sequence[Line]) -> bool:
    return len(waiting) > 1 and write_units([line.text for line in waiting]) == 1


def _bytes(line: Line) -> int:
    return len(line.text)


def tail_reads(
    writes: Sequence[Sequence[Line]], first: float, longest: float, start: float, end: float
) -> float:
    """The read units of one tail with these pauses (seconds): half a unit per empty read.

    A read that finds something costs half a unit per 4 KB of it: it is eventually consistent.
    """
    moments = [start, *sorted({write[0].at for write in writes if start < write[0].at < end}), end]
    read_units = 0.0
    for before, after in pairwise(moments):
        at, pause = before + first, first
        while at < after:
            read_units += 0.5
            at += pause
            pause = min(pause * _GROWTH, longest)
    return read_units + sum(
        math.ceil((_ITEM_BYTES + sum(map(_bytes, write))) / _HALF_UNIT_BYTES) / 2
        for write in writes
    )
