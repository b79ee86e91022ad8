"""The events of a run, as an iterator."""

from collections.abc import Generator
from types import TracebackType
from typing import TYPE_CHECKING, Self

from runyard.client.core.follow import Cursor, follow
from runyard.client.event_base import RequestMethods
from runyard.events import Event

if TYPE_CHECKING:
    from runyard.client.sync.runs import Runs


class RunStream:
    """An iterator over the events of a run. It ends after the run's last event.

    It reconnects by itself. To close it, or to leave its `with` block, does not cancel the run.
    """

    def __init__(self, runs: "Runs", cursor: Cursor) -> None:
        self._runs = runs
        self._cursor = cursor
        self._events: Generator[Event] = runs.transport.iterate(follow(cursor))

    @property
    def run_id(self) -> str:
        """Return the id of the run."""
        return self._cursor.run_id

    @property
    def cursor(self) -> int:
        """Return the sequence of the last event: `runs.follow(run_id, after=…)` continues there."""
        return self._cursor.after

    def __iter__(self) -> Self:
        """Return the stream."""
        return self

    def __next__(self) -> Event:
        """Return the next event."""
        event = next(self._events)
        if isinstance(event, RequestMethods):
            event.bind(self._runs)
        return event

    def __enter__(self) -> Self:
        """Return the stream."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection. The run continues."""
        self._events.close()
