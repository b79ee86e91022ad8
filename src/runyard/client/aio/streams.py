"""The events of a run, as an asynchronous iterator."""

from collections.abc import AsyncGenerator
from types import TracebackType
from typing import TYPE_CHECKING, Self

from runyard.client.core.effects import Call
from runyard.client.core.follow import Cursor, follow
from runyard.client.event_base import RequestMethods
from runyard.events import Event

if TYPE_CHECKING:
    from runyard.client.aio.runs import AsyncRuns


class AsyncRunStream:
    """An asynchronous iterator over the events of a run. It ends after the run's last event.

    It reconnects by itself. To close it, or to leave its `async with` block, does not cancel the
    run. `runs.stream` starts its run when the block is entered, or with the first event.
    """

    def __init__(self, runs: "AsyncRuns", cursor: Cursor, starts: Call[str] | None = None) -> None:
        self._runs = runs
        self._cursor = cursor
        self._starts = starts
        self._events: AsyncGenerator[Event] = runs.transport.iterate(follow(cursor))

    @property
    def run_id(self) -> str:
        """Return the id of the run; empty before it is started."""
        return self._cursor.run_id

    @property
    def cursor(self) -> int:
        """Return the sequence of the last event: `runs.follow(run_id, after=…)` continues there."""
        return self._cursor.after

    def __aiter__(self) -> Self:
        """Return the stream."""
        return self

    async def __anext__(self) -> Event:
        """Return the next event."""
        await self._start()
        event = await anext(self._events)
        if isinstance(event, RequestMethods):
            event.bind(self._runs)
        return event

    async def __aenter__(self) -> Self:
        """Start the run if there is one to start; return the stream."""
        await self._start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connection."""
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connection. The run continues."""
        await self._events.aclose()

    async def _start(self) -> None:
        if self._starts is not None:
            starts, self._starts = self._starts, None
            self._cursor.run_id = await self._runs.transport.run(starts)
