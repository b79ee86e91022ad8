"""Follow a log: read the existing events, then the appended events, until the end.

Each reader reads the existing events itself, page by page, at its own speed. From the newest event
on, all readers of a run in this process share one tail.
"""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager

from runyard_service.adapters.dynamodb.event_log import Batch, EventLog
from runyard_service.application.streams.tail import PollBackoff, Tail, dense_part, next_batches
from runyard_service.domain.errors import StoreRejectedError


class FollowedRuns:
    """The followed runs of this process, on one event loop, with one tail per run."""

    def __init__(self, log: EventLog, backoff: PollBackoff) -> None:
        self._log = log
        self._backoff = backoff
        self._tails: dict[str, tuple[Tail, int]] = {}

    async def follow(
        self,
        run_id: str,
        after: int,
        until: float,
        silence: float = math.inf,
        *,
        live: bool = True,
    ) -> AsyncGenerator[Batch | None, None]:
        """Yield the batches after event `after` in order, without a gap.

        Yield None whenever no batch came for `silence` seconds. End after the terminal event, also
        if `after` is past it; if not `live`, end after the existing events. End when the monotonic
        clock reaches `until`, but only after one batch if the log has one. Raise
        StoreRejectedError if the log itself has a gap.
        """
        start = after
        async for batch in self._catch_up(run_id, after):
            yield batch
            after = batch.last
            if batch.is_end or time.monotonic() >= until:
                return
        if not live:
            return
        position = after
        if after == start > 0:
            # The cursor can be inside a batch, or past the end: read the last position of the log.
            position, has_ended = await asyncio.to_thread(self._log.last, run_id)
            if has_ended and position <= after:
                return
        if time.monotonic() < until:
            async with self._shared_tail(run_id, position) as tail:
                async for batch_or_none in self._read_tail(tail, run_id, after, until, silence):
                    yield batch_or_none

    async def _read_tail(
        self, tail: Tail, run_id: str, after: int, until: float, silence: float
    ) -> AsyncGenerator[Batch | None, None]:
        while (left := until - time.monotonic()) > 0:
            batches = tail.after(after)
            if batches is None:
                batches = await self._next_page(run_id, after)
            for batch in batches:
                yield batch
                if batch.is_end:
                    return
                after = batch.last
            if tail.has_ended and not batches:
                return  # The cursor is past the end.
            if not batches and not await tail.wait(min(left, silence)) and left > silence:
                yield None

    def wake(self, run_id: str) -> None:
        """Read the log of the run at once: this process has just appended to it."""
        if run_id in self._tails:
            self._tails[run_id][0].wake()

    async def _catch_up(self, run_id: str, after: int) -> AsyncGenerator[Batch, None]:
        """Yield the existing batches after `after`. Fill gaps by a strongly consistent read."""
        between_batches, consistent = after == 0, False
        while True:
            pages = self._log.read(
                run_id, after, consistent=consistent, between_batches=between_batches
            )
            has_gap = False
            while not has_gap and (page := await next_batches(pages)):
                dense = dense_part(page, after)
                has_gap = len(dense) < len(page)
                for batch in dense:
                    yield batch
                    after, between_batches = batch.last, True
            if not has_gap:
                return
            if consistent:
                raise StoreRejectedError(f"the log has a gap after {after}")
            consistent = True

    async def _next_page(self, run_id: str, after: int) -> Sequence[Batch]:
        """Return the next page for a reader whose next batch the tail has dropped."""
        page = dense_part(await next_batches(self._log.read(run_id, after)), after)
        if not page:
            raise StoreRejectedError(f"the log has a gap after {after}")
        return page

    @asynccontextmanager
    async def _shared_tail(self, run_id: str, position: int) -> AsyncIterator[Tail]:
        """Yield the tail of the run; create it at `position`, and stop it after its last reader."""
        tail, readers = self._tails.get(run_id, (None, 0))
        if tail is None:
            tail = Tail(self._log, run_id, position, self._backoff)
        self._tails[run_id] = tail, readers + 1
        try:
            yield tail
        finally:
            tail, readers = self._tails.pop(run_id)
            if readers > 1:
                self._tails[run_id] = tail, readers - 1
            else:
                await tail.stop()
