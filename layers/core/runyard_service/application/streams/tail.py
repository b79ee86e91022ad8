"""The end of the log of one run, polled once for all readers in this process.

The pause after an empty read grows from the first to the longest, and resets with each event. A
full batch shows that more events wait to be written: after it there is no pause. Each reader gets
its new batches from the batches that the tail retains:

    tail       reads [5 6 7] [8] [9 … 20], and retains up to a page of them
    reader A   has read 20: waits for the next batch
    reader B   has read 7: gets [8] [9 … 20]
    reader C   has read 2: 3 and 4 are dropped, so it reads the log itself

A slow reader delays no other reader, and holds only its last batches in memory.
"""

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from runyard_service.adapters.dynamodb.event_log import MAX_BATCH_EVENTS, Batch, EventLog
from runyard_service.domain.errors import StoreRejectedError

# The maximum of one read; a page of DynamoDB has at most 1 MB.
PAGE_BATCHES = 32
_PAGE_BYTES = 1024 * 1024
_GROWTH = 1.5


@dataclass(frozen=True)
class PollBackoff:
    """The first and the longest pause of a tail after an empty read, in seconds."""

    first_pause: float = 0.05
    longest_pause: float = 0.5


class Tail:
    """The batches of a run after event `position`, which must be the end of a batch."""

    def __init__(self, log: EventLog, run_id: str, position: int, backoff: PollBackoff) -> None:
        self._log = log
        self._run_id = run_id
        self._backoff = backoff
        self._recent: deque[Batch] = deque()
        # The tail has all batches after `_start`, up to `_position`.
        self._start = self._position = position
        self._changed = asyncio.Event()
        self._wake_requested = asyncio.Event()
        self._reading = asyncio.create_task(self._poll())
        self._reading.add_done_callback(lambda _: self._notify())

    def after(self, sequence: int) -> Sequence[Batch] | None:
        """Return the batches after this event; None if the tail has dropped some of them."""
        if sequence < self._start:
            return None
        return [batch.after(sequence) for batch in self._recent if batch.last > sequence]

    async def wait(self, seconds: float) -> bool:
        """Wait for a new batch for at most `seconds`. Return False if none came or can come.

        Raise the error of the last read of the log, if it failed.
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
        """Return whether the tail has read the terminal event."""
        return bool(self._recent) and self._recent[-1].is_end

    def wake(self) -> None:
        """Read the log at once, because an event was just appended."""
        self._wake_requested.set()

    async def stop(self) -> None:
        """Stop reading."""
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def _poll(self) -> None:
        # The first reader has just read the log up to this position, so start with a pause.
        pause, expects_more = self._backoff.first_pause, False
        while not self.has_ended:
            if not expects_more:
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._wake_requested.wait()
            is_woken = self._wake_requested.is_set()
            self._wake_requested.clear()
            batches = await self._read()
            expects_more = _is_full(batches) or (
                bool(batches) and len(batches[-1].lines) == MAX_BATCH_EVENTS
            )
            if batches or is_woken:
                pause = self._backoff.first_pause
            else:
                pause = min(pause * _GROWTH, self._backoff.longest_pause)

    async def _read(self) -> Sequence[Batch]:
        """Read and return the new batches. Raise StoreRejectedError if the log has a gap."""
        for consistent in (False, True):
            batches = await next_batches(
                self._log.read(
                    self._run_id, self._position, consistent=consistent, between_batches=True
                )
            )
            if dense := dense_part(batches, self._position):
                self._store(dense)
            if dense or not batches:
                return dense
        raise StoreRejectedError(f"the log has a gap after {self._position}")

    def _store(self, batches: Sequence[Batch]) -> None:
        self._recent.extend(batches)
        self._position = batches[-1].last
        size = sum(batch.size for batch in self._recent)
        # The newest batch stays, also if it alone is larger.
        while len(self._recent) > 1 and (size > _PAGE_BYTES or len(self._recent) > PAGE_BATCHES):
            dropped = self._recent.popleft()
            self._start, size = dropped.last, size - dropped.size
        self._notify()


def _is_full(page: Sequence[Batch]) -> bool:
    return len(page) == PAGE_BATCHES or sum(batch.size for batch in page) >= _PAGE_BYTES


async def next_batches(pages: Iterator[Batch]) -> list[Batch]:
    """Return the next batches of a read, at most a page; an empty list at its end."""
    return await asyncio.to_thread(_page, pages)


def _page(pages: Iterator[Batch]) -> list[Batch]:
    """Limit a page by number and by size: large payloads are already loaded from S3."""
    batches, size = [], 0
    for batch in islice(pages, PAGE_BATCHES):
        batches.append(batch)
        size += batch.size
        if size >= _PAGE_BYTES:
            break
    return batches


def dense_part(batches: Sequence[Batch], after: int) -> Sequence[Batch]:
    """Return the first batches that follow event `after` without a gap.

    An eventually consistent read can miss a batch although it has a later batch.
    """
    for index, batch in enumerate(batches):
        if batch.first != after + 1:
            return batches[:index]
        after = batch.last
    return batches
