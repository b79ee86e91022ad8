"""The end of one run's log, read again and again for everybody in this process who follows it.

The pause behind an empty read grows from the first to the longest, and begins anew with each event.
A full batch is the sign of more that waits to be put: behind it there is no pause at all.
Readers come and go; each is given what it has not seen from the batches that the tail still has:

    tail       reads [5 6 7] [8] [9 … 20], and keeps up to a page of them
    reader A   has seen 20: waits for the next
    reader B   has seen 7: is given [8] [9 … 20]
    reader C   has seen 2: 3 and 4 are gone, so it reads the log for itself

So a slow reader delays nobody, and holds no more than what it was given last.
"""

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from runyard_service.adapters.dynamodb.event_log import MAX_BATCH_EVENTS, Batch, EventLog
from runyard_service.domain.errors import StoreRejectedError

# What one read brings at most; a page of DynamoDB's is 1 MB.
PAGE_BATCHES = 32
_PAGE_BYTES = 1024 * 1024
_GROWTH = 1.5


@dataclass(frozen=True)
class PollBackoff:
    """How a tail reads: the first and the longest pause after an empty read, in seconds."""

    first_pause: float = 0.05
    longest_pause: float = 0.5


class Tail:
    """What is behind event `position` of a run, as it comes. A batch ends with that event."""

    def __init__(self, log: EventLog, run_id: str, position: int, backoff: PollBackoff) -> None:
        self._log = log
        self._run_id = run_id
        self._pace = backoff
        self._recent: deque[Batch] = deque()
        # The tail has all batches behind the first of these, up to the second.
        self._begin = self._position = position
        self._changed = asyncio.Event()
        self._hurry = asyncio.Event()
        self._reading = asyncio.create_task(self._poll())
        self._reading.add_done_callback(lambda _: self._notify())

    def after(self, sequence: int) -> Sequence[Batch] | None:
        """What the tail has behind this event; None where it does not have all of it any more."""
        if sequence < self._begin:
            return None
        return [batch.after(sequence) for batch in self._recent if batch.last > sequence]

    async def wait(self, seconds: float) -> bool:
        """Until something has come, but not longer; False where nothing has, or nothing will.

        Raises what reading the log has raised.
        """
        if self._reading.done():
            self._reading.result()
            return False
        changed = self._changed
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await changed.wait()
        return changed.is_set()

    @property
    def has_ended(self) -> bool:
        """Whether the terminal event was read."""
        return bool(self._recent) and self._recent[-1].is_end

    def wake(self) -> None:
        """Something was just appended: read at once."""
        self._hurry.set()

    async def stop(self) -> None:
        """Read no further."""
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def _poll(self) -> None:
        # Whoever began the tail has just read up to here: it begins with a pause.
        pause, is_more_near = self._pace.first_pause, False
        while not self.has_ended:
            if not is_more_near:
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._hurry.wait()
            is_woken = self._hurry.is_set()
            self._hurry.clear()
            found = await self._read()
            is_more_near = _is_full(found) or (
                bool(found) and len(found[-1].lines) == MAX_BATCH_EVENTS
            )
            if found or is_woken:
                pause = self._pace.first_pause
            else:
                pause = min(pause * _GROWTH, self._pace.longest_pause)

    async def _read(self) -> Sequence[Batch]:
        """What is new. Raises StoreRefusedError where the log has a gap."""
        for consistent in (False, True):
            found = await next_batches(
                self._log.read(
                    self._run_id, self._position, consistent=consistent, between_batches=True
                )
            )
            if dense := dense_part(found, self._position):
                self._take(dense)
            if dense or not found:
                return dense
        raise StoreRejectedError(f"the log has a gap behind {self._position}")

    def _take(self, batches: Sequence[Batch]) -> None:
        self._recent.extend(batches)
        self._position = batches[-1].last
        size = sum(batch.size for batch in self._recent)
        # The newest stays, also where it alone is larger.
        while len(self._recent) > 1 and (size > _PAGE_BYTES or len(self._recent) > PAGE_BATCHES):
            gone = self._recent.popleft()
            self._begin, size = gone.last, size - gone.size
        self._notify()


def _is_full(page: Sequence[Batch]) -> bool:
    return len(page) == PAGE_BATCHES or sum(batch.size for batch in page) >= _PAGE_BYTES


async def next_batches(pages: Iterator[Batch]) -> list[Batch]:
    """The next batches of a read, a page at the most; none at its end."""
    return await asyncio.to_thread(_page, pages)


def _page(pages: Iterator[Batch]) -> list[Batch]:
    """By number and by size: large payloads are put back into their events."""
    found, size = [], 0
    for batch in islice(pages, PAGE_BATCHES):
        found.append(batch)
        size += batch.size
        if size >= _PAGE_BYTES:
            break
    return found


def dense_part(batches: Sequence[Batch], after: int) -> Sequence[Batch]:
    """What of the batches follows on `after` without a gap.

    An eventually consistent read may lack a batch that it has a later one of.
    """
    for place, batch in enumerate(batches):
        if batch.first != after + 1:
            return batches[:place]
        after = batch.last
    return batches
