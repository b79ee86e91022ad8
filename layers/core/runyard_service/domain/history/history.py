"""Fold the events of a run's log into the state of the run."""

from collections.abc import Iterable

from runyard_service.domain.events import DELTA_TYPES, Event
from runyard_service.domain.history.handlers import HANDLERS
from runyard_service.domain.history.state import RunState


class History(RunState):
    """The state of a run after the events that were applied, in the order of the log."""

    @classmethod
    def of(cls, events: Iterable[Event]) -> "History":
        """Return the history after these events, which start with the first event of the log."""
        history = cls()
        for event in events:
            history.apply(event)
        return history

    @classmethod
    def from_checkpoint(cls, durable_events: Iterable[Event]) -> "History":
        """Return the history after these events, which are the log without its deltas."""
        history = cls()
        for event in durable_events:
            history.last = event.sequence - 1
            history.apply(event)
        return history

    def apply(self, event: Event) -> None:
        """Update the state with the next event. Raise ValueError if its sequence is not next."""
        if event.sequence != self.last + 1:
            raise ValueError(f"event {event.sequence} cannot follow event {self.last}")
        self.last, self.last_type = event.sequence, event.type
        if event.type not in DELTA_TYPES:
            self.durable_events.append(event)
            self.size_chars += len(str(event.data))
        handler = HANDLERS.get(event.type)
        if handler is not None:
            handler(self, event)
