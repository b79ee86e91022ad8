"""Follow a log: what is there, then what is appended, until the end.

What is there each reader reads for itself, page by page, as fast as it takes it. From the newest
event on, all who follow a run in this process share one tail.
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
    """The runs that are followed in this process, on one event loop."""

    def __init__(self, log: EventLog, backoff: PollBackoff) -> None:
        self._log = log
        self._pace = backoff
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
        """The batches behind `after` as they come, each only behind the one before it.

        None whenever nothing came for `silence` seconds. Ends behind the terminal event, also where
        `after` is past it; behind what is there, where it is not to be `live`; or when the
        monotonic clock reaches `until`, but not before a reader has got on by a batch, if there is
        one. Raises StoreRefusedError where the log itself has a gap.
        """
        begun = after
        async for batch in self._catch_up(run_id, after):
            yield batch
            after = batch.last
            if batch.is_end or time.monotonic() >= until:
                return
        if not live:
            return
        position = after
        if after == begun > 0:
            # The cursor may lie within a batch, or past the end: only the log knows.
            position, has_ended = await asyncio.to_thread(self._log.last, run_id)
            if has_ended and position <= after:
                return
        if time.monotonic() < until:
            async with self._shared_tail(run_id, position) as tail:
                async for each in self._read_tail(tail, run_id, after, until, silence):
                    yield each

    async def _read_tail(
        self, tail: Tail, run_id: str, after: int, until: float, silence: float
    ) -> AsyncGenerator[Batch | None, None]:
        while (left := until - time.monotonic()) > 0:
            found = tail.after(after)
            if found is None:
                found = await self._next_page(run_id, after)
            for batch in found:
                yield batch
                if batch.is_end:
                    return
                after = batch.last
            if tail.has_ended and not found:
                return  # The cursor is past the end.
            if not found and not await tail.wait(min(left, silence)) and left > silence:
                yield None

    def wake(self, run_id: str) -> None:
        """This process has just appended to the run's log."""
        if run_id in self._tails:
            self._tails[run_id][0].wake()

    async def _catch_up(self, run_id: str, after: int) -> AsyncGenerator[Batch, None]:
        """What is there behind `after`; also what only a strongly consistent read tells."""
        between_batches, consistent = after == 0, False
        while True:
            pages = self._log.read(
                run_id, after, consistent=consistent, between_batches=between_batches
            )
            has_gap = False
            while not has_gap and (found := await next_batches(pages)):
                dense = dense_part(found, after)
                has_gap = len(dense) < len(found)
                for batch in dense:
                    yield batch
                    after, between_batches = batch.last, True
            if not has_gap:
                return
            if consistent:
                raise StoreRejectedError(f"the log has a gap behind {after}")
            consistent = True

    async def _next_page(self, run_id: str, after: int) -> Sequence[Batch]:
        """The next page for a reader that the tail has left behind: there is one."""
        page = dense_part(await next_batches(self._log.read(run_id, after)), after)
        if not page:
            raise StoreRejectedError(f"the log has a gap behind {after}")
        return page

    @asynccontextmanager
    async def _shared_tail(self, run_id: str, position: int) -> AsyncIterator[Tail]:
        """The run's tail, begun at `position` where there is none; it ends with its last reader."""
        tail, readers = self._tails.get(run_id, (None, 0))
        if tail is None:
            tail = Tail(self._log, run_id, position, self._pace)
        self._tails[run_id] = tail, readers + 1
        try:
            yield tail
        finally:
            tail, readers = self._tails.pop(run_id)
            if readers > 1:
                self._tails[run_id] = tail, readers - 1
            else:
                await tail.stop()
