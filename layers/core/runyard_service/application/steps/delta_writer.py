"""Write the deltas of a response to the log while the response still streams.

The first delta is written at once. Deltas that arrive during this write, and for `flush_seconds`
after it, share the next write: a fast model costs a few dozen writes, not one per token. If several
deltas then do not fill a write unit, they wait half as long again: further deltas cost nothing
until the unit is full. A full batch does not wait.
"""

import asyncio
from contextlib import suppress

from runyard_service.adapters.dynamodb.event_log import MAX_BATCH_EVENTS
from runyard_service.application.steps.async_journal import AsyncJournal
from runyard_service.domain.events import NewEvent

# Deltas of this length fill about one write unit (1 KB), with ids and times, and compressed.
UNIT_CHARACTERS = 1024


class DeltaWriter:
    """Write deltas in batches, in a background task of the stream.

    At most one write is in flight, because each write needs the sequence after the previous write.
    """

    def __init__(self, journal: AsyncJournal, flush_seconds: float) -> None:
        self._journal = journal
        self._flush_seconds = flush_seconds
        self._waiting: list[NewEvent] = []
        self._is_closing = False
        # Set when the flusher must not wait any longer.
        self._flush_now = asyncio.Event()
        self._flusher: asyncio.Task[None] | None = None

    def add(self, new_event: NewEvent) -> None:
        """Add a delta. Raise the error of the last write, if it failed."""
        self._waiting.append(new_event)
        if self._flusher is None or self._flusher.done():
            if self._flusher is not None:
                self._flusher.result()
            self._flusher = asyncio.create_task(self._flush())
        elif len(self._waiting) == MAX_BATCH_EVENTS:
            self._flush_now.set()

    async def close(self) -> list[NewEvent]:
        """Stop writing. Return the waiting deltas, to write together with the complete message.

        Raise the error of the last write, if it failed.
        """
        await self.stop()
        if self._flusher is not None:
            self._flusher.result()
        new_events, self._waiting = self._waiting, []
        return new_events

    async def stop(self) -> None:
        """Wait for the write in flight, and start no further write."""
        self._is_closing = True
        self._flush_now.set()
        if self._flusher is not None:
            await asyncio.wait([self._flusher])

    async def _flush(self) -> None:
        while self._waiting and not self._is_closing:
            new_events, self._waiting = self._waiting, []
            self._flush_now.clear()
            await self._journal.append(new_events)
            await self._wait(self._flush_seconds)
            if len(self._waiting) > 1 and not self._fills_a_unit():
                await self._wait(self._flush_seconds / 2)

    async def _wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._flush_now.wait()

    def _fills_a_unit(self) -> bool:
        return sum(len(str(new_event.data)) for new_event in self._waiting) >= UNIT_CHARACTERS
