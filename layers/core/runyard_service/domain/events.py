"""The events of a run's log.

Invariants: sequences start at 1 and have no gap and no repeat; exactly one terminal event ends a
log, and nothing follows it.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple, get_args

import pydantic_core

from runyard_service.domain.clock import timestamp
from runyard_service.domain.ids import new_ids

SCHEMA_VERSION = 1

EventType = Literal[
    "run.started",
    "agent.tools.listed",
    "agent.reasoning.delta",
    "agent.response.delta",
    "agent.message.completed",
    "agent.context.compacted",
    "agent.tool_call.started",
    "agent.tool_call.progress",
    "agent.tool_call.input_required",
    "agent.tool_call.completed",
    "agent.tool_call.failed",
    "agent.human_feedback.requested",
    "agent.human_feedback.received",
    "approval_request.created",
    "approval_request.resolved",
    "input_request.expired",
    "agent.step.started",
    "agent.step.completed",
    "agent.step.failed",
    "agent.emitted",
    "run.paused",
    "run.resumed",
    "run.recovered",
    "run.retrying",
    "run.cancel_requested",
    "run.completed",
    "run.failed",
    "run.canceled",
]
EVENT_TYPES: tuple[str, ...] = get_args(EventType)
TERMINAL_TYPES = frozenset({"run.completed", "run.failed", "run.canceled"})
# No decision reads them after the complete message, or the end of the tool call, is recorded.
DELTA_TYPES = frozenset(
    {"agent.reasoning.delta", "agent.response.delta", "agent.tool_call.progress"}
)
# Types that webhooks and the event bus receive: the status of a run, and its input requests. Not
# retries: while a provider is down, they would delay the notifications about failed runs.
LIFECYCLE_TYPES = frozenset(
    {
        *(type_ for type_ in EVENT_TYPES if type_.startswith("run.") and type_ != "run.retrying"),
        "agent.human_feedback.requested",
        "agent.human_feedback.received",
        "approval_request.created",
        "approval_request.resolved",
        "input_request.expired",
    }
)


class Event(NamedTuple):
    """One event of a log. A response can make thousands, so this is not a pydantic model."""

    id: str
    type: str
    sequence: int
    timestamp: str
    data: Mapping[str, Any]

    @property
    def is_terminal(self) -> bool:
        """Return whether this event ends the log."""
        return self.type in TERMINAL_TYPES


class NewEvent(NamedTuple):
    """An event that is not appended yet, without a sequence."""

    type: EventType
    data: Mapping[str, Any]


def assign_sequences(new_events: Iterable[NewEvent], after: int) -> list[Event]:
    """Return the new events as events with the sequences after `after`, ids and the time."""
    now, new_events = timestamp(), list(new_events)
    return [
        Event(id_, new_event.type, sequence, now, new_event.data)
        for sequence, (id_, new_event) in enumerate(
            zip(new_ids(len(new_events)), new_events, strict=True), start=after + 1
        )
    ]


def encode_event(event: Event, data: Mapping[str, Any] | None = None) -> bytes:
    """Return the event as one line of JSON in UTF-8, the wire format; `data` replaces its data.

    The line is bytes: in a `str` with one emoji, Python needs four bytes for every character.

    `id` and `type` come first, in this order: `event_type_of` relies on it.
    """
    return encode_with_data(event, to_json(event.data if data is None else data))


def encode_with_data(event: Event, data: bytes) -> bytes:
    """Return the line of the event with `data`, which is JSON in UTF-8."""
    head = (
        f'{{"id":"{event.id}","type":"{event.type}","sequence":{event.sequence},'
        f'"timestamp":"{event.timestamp}","data":'
    )
    return b"%b%b}" % (head.encode(), data)


def to_json(value: Any) -> bytes:
    """Return the value as JSON on one line, in UTF-8, also for readers of Unicode lines."""
    try:
        text = pydantic_core.to_json(value)
    except pydantic_core.PydanticSerializationError:
        # A text with an unpaired surrogate, which UTF-8 cannot encode.
        text = _well_formed(json.dumps(value, ensure_ascii=False, separators=(",", ":"))).encode()
    return text if text.isascii() else _escape_line_breaks(text)


def _escape_line_breaks(text: bytes) -> bytes:
    """Escape the line breaks beyond ASCII, at which clients such as httpx split a stream."""
    text = text.replace("\u2028".encode(), b"\\u2028").replace("\u2029".encode(), b"\\u2029")
    return text.replace("\u0085".encode(), b"\\u0085")


def _well_formed(text: str) -> str:
    # A model or a tool can return an unpaired surrogate, which UTF-8 cannot encode.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


# The length of `{"id":"<36 characters>","type":"`.
_TYPE_START = 53


def event_type_of(line: bytes) -> str:
    """Return the type of the event in a line, without parsing the line."""
    return line[_TYPE_START : line.index(b'"', _TYPE_START)].decode()


def decode_event(line: bytes) -> Event:
    """Return the event of a line, without fields that this release does not know."""
    fields = pydantic_core.from_json(line)
    return Event(*(fields[name] for name in Event._fields))
