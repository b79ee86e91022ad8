"""Build the history of a run from events that a test writes."""

from collections.abc import Mapping
from typing import Any

from runyard_service.domain.events import EventType, NewEvent, assign_sequences
from runyard_service.domain.history.history import History


def history_of(*new_events: tuple[EventType, Mapping[str, Any]]) -> History:
    """Return the history after these events, each a type and its data."""
    events = [NewEvent(type=kind, data=data) for kind, data in new_events]
    return History.of(assign_sequences(events, after=0))
