"""What other settings would have made of a run that was counted: played again on paper.

The log of the run says when each event came and how large it is. From that follow the puts under
another flush window, and the reads of a tail of another pace.
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
# Behind an empty read; see `runyard_service.application.streams.tail`.
_GROWTH = 1.5


@dataclass(frozen=True)
class Line:
    """An event of the log: when it came, in seconds, and whether it is a part of a reply."""

    text: bytes
    at: float
    is_delta: bool
    ends_response: bool


def lines_of(batches: Iterable[Batch]) -> list[list[Line]]:
    """The batches as they were put; what is put with a reply for its calls is a part of it."""
    puts: list[list[Line]] = []
    for batch in batches:
        put: list[Line] = []
        for line in map(_line, batch.lines):
            if (
                put
                and put[-1].ends_response
                and event_type_of(line.text) == "agent.tool_call.started"
            ):
                put[-1] = replace(put[-1], text=b"%b\n%b" % (put[-1].text, line.text))
            else:
                put.append(line)
        puts.append(put)
    return puts


def _line(text: bytes) -> Line:
    kind = event_type_of(text)
    at = parse(decode_event(text).timestamp).timestamp()
    return Line(text, at, kind in _DELTAS, kind == "agent.message.completed")


def units(puts: Iterable[Sequence[Line]]) -> int:
    """The write units of puts outside of transactions."""
    return sum(write_units([line.text for line in put]) for put in puts)


def regrouped(puts: Sequence[Sequence[Line]], window: float) -> list[list[Line]]:
    """The puts as they would be with this flush window, in seconds.

    The first delta of a reply is put at once, and each that comes when none was put for the length
    of the window; several that fill no write unit wait half as long again. A reply's end is put at
    once, with what waits. All else stays as it was.
    """
    found: list[list[Line]] = []
    waiting: list[Line] = []
    open_until = -math.inf
    for line in (line for put in puts for line in put if line.is_delta or line.ends_response):
        closes = open_until + (window / 2 if _wait_for_more(waiting) else 0)
        if waiting and line.at > closes:
            found.append(waiting)
            waiting, open_until = [], closes + window
        waiting.append(line)
        is_full = len(waiting) == MAX_BATCH_EVENTS or sum(map(_bytes, waiting)) > MAX_BATCH_BYTES
        if line.ends_response or is_full or (len(waiting) == 1 and line.at > open_until):
            found.append(waiting)
            waiting, open_until = [], -math.inf if line.ends_response else line.at + window
    rest = [[line for line in put if not line.is_delta and not line.ends_response] for put in puts]
    return [*found, *filter(None, rest)]


def _wait_for_more(waiting: Sequence[Line]) -> bool:
    return len(waiting) > 1 and write_units([line.text for line in waiting]) == 1


def _bytes(line: Line) -> int:
    return len(line.text)


def tail_reads(
    puts: Sequence[Sequence[Line]], first: float, longest: float, began: float, ended: float
) -> float:
    """The read units of one tail with these pauses (seconds): half a unit per empty read.

    A read that finds something costs half a unit per 4 KB of it: it is eventually consistent.
    """
    moments = [began, *sorted({put[0].at for put in puts if began < put[0].at < ended}), ended]
    read_units = 0.0
    for before, after in pairwise(moments):
        at, pause = before + first, first
        while at < after:
            read_units += 0.5
            at += pause
            pause = min(pause * _GROWTH, longest)
    return read_units + sum(
        math.ceil((_ITEM_BYTES + sum(map(_bytes, put))) / _HALF_UNIT_BYTES) / 2 for put in puts
    )
