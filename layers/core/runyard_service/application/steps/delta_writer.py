"""Puts a reply's deltas into the log while the reply still comes.

The first delta goes out at once. Those that come while its put is under way, and for a moment
behind it, go out together with the next one: a fast model costs a few dozen writes and not one per
token. Where several wait then, and do not fill a write unit, they wait half as long again: the next
ones are on their way, and cost nothing. As much as fills a batch does not wait at all.
"""

import asyncio
from contextlib import suppress

from runyard_service.adapters.dynamodb.event_log import MAX_BATCH_EVENTS
from runyard_service.application.steps.async_journal import AsyncJournal
from runyard_service.domain.events import NewEvent

# Deltas with so many characters take, with ids and times around them and compressed, about a unit.
UNIT_CHARACTERS = 1024


class DeltaWriter:
    """Puts deltas in batches, in the background of the stream that brings them.

    At most one put is under way: each claims the slot behind the one before it.
    """

    def __init__(self, journal: AsyncJournal, flush_seconds: float) -> None:
        self._journal = journal
        self._flush_seconds = flush_seconds
        self._waiting: list[NewEvent] = []
        self._is_closing = False
        # Set where the flusher need not wait any longer.
        self._hurry = asyncio.Event()
        self._flusher: asyncio.Task[None] | None = None

    def add(self, draft: NewEvent) -> None:
        """Take a delta. Raises what the last put raised."""
        self._waiting.append(draft)
        if self._flusher is None or self._flusher.done():
            if self._flusher is not None:
                self._flusher.result()
            self._flusher = asyncio.create_task(self._flush())
        elif len(self._waiting) == MAX_BATCH_EVENTS:
            self._hurry.set()

    async def close(self) -> list[NewEvent]:
        """Put nothing further by itself; gives what still waits, to be put with the whole reply.

        Raises what the last put raised.
        """
        await self.stop()
        if self._flusher is not None:
            self._flusher.result()
        drafts, self._waiting = self._waiting, []
        return drafts

    async def stop(self) -> None:
        """Wait for the put that is under way, and put nothing further."""
        self._is_closing = True
        self._hurry.set()
        if self._flusher is not None:
            await asyncio.wait([self._flusher])

    async def _flush(self) -> None:
        while self._waiting and not self._is_closing:
            drafts, self._waiting = self._waiting, []
            self._hurry.clear()
            await self._journal.append(drafts)
            await self._gather(self._flush_seconds)
            if len(self._waiting) > 1 and not self._fills_a_unit():
                await self._gather(self._flush_seconds / 2)

    async def _gather(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurry.wait()

    def _fills_a_unit(self) -> bool:
        return sum(len(str(draft.data)) for draft in self._waiting) >= UNIT_CHARACTERS
