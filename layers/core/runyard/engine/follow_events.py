"""Follow a log: what is there, then what is appended, until the end.

The tail reads at once after it found something, and backs off while nothing happens.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from runyard.domain.errors import StoreRefusedError
from runyard.store.event_log import Batch, EventLog


@dataclass(frozen=True)
class TailPace:
    """How a tail reads: the first and the longest pause after an empty read, in seconds."""

    first_pause: float = 0.05
    longest_pause: float = 0.5


async def follow_events(
    log: EventLog, run_id: str, after: int, pace: TailPace, until: float
) -> AsyncIterator[Batch | None]:
    """The batches behind `after` as they come, each only behind the one before it.

    None after each read that found nothing. Ends behind the terminal event, also where `after` is
    past it, or when the monotonic clock reaches `until`. Raises StoreRefusedError where the log
    itself has a gap.
    """
    pause, behind = pace.first_pause, False
    # A cursor may be past the end: then the terminal event never comes behind it.
    is_past_end = after > 0
    while True:
        found = False
        consistent, behind = behind, False
        pages = log.read(run_id, after, consistent=consistent)
        while (batch := await asyncio.to_thread(next, pages, None)) is not None:
            if batch.first != after + 1:
                # An eventually consistent read may lack a batch that it has a later one of.
                if consistent:
                    raise StoreRefusedError(f"the log has a gap behind {after}")
                behind = True
                break
            found, is_past_end = True, False
            after = batch.last
            yield batch
            if batch.is_end:
                return
        if found or behind:
            pause = pace.first_pause
            continue
        yield None
        if is_past_end and pause >= pace.longest_pause:
            last, has_ended = await asyncio.to_thread(log.last, run_id)
            if has_ended:
                return
            is_past_end = last < after
        left = until - time.monotonic()
        if left <= 0:
            return
        await asyncio.sleep(min(pause, left))
        pause = min(pause * 1.5, pace.longest_pause)
