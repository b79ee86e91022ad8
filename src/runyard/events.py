"""The events of a run: a class for each type of the event catalogue.

    match event:
        case events.ResponseDelta(delta=text): ...
        case events.RunFailed(error=error): ...

An event of a type that this release does not know is an `UnknownEvent`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from runyard.client.event_base import ApprovalRequestMethods, Event, FeedbackRequestMethods
from runyard.client.models import ErrorInfo, Usage
from runyard.client.records import source
from runyard.client.work_events import (
    ContextCompacted,
    Emitted,
    MessageCompleted,
    ReasoningDelta,
    ResponseDelta,
    StepCompleted,
    StepFailed,
    StepStarted,
    ToolCallCompleted,
    ToolCallFailed,
    ToolCallInputRequired,
    ToolCallProgress,
    ToolCallStarted,
    ToolsListed,
)

__all__ = [
    "BY_TYPE",
    "ApprovalCreated",
    "ApprovalResolved",
    "ContextCompacted",
    "Emitted",
    "Event",
    "FeedbackReceived",
    "FeedbackRequested",
    "InputExpired",
    "MessageCompleted",
    "ReasoningDelta",
    "ResponseDelta",
    "RunCancelRequested",
    "RunCanceled",
    "RunCompleted",
    "RunFailed",
    "RunPaused",
    "RunRecovered",
    "RunResumed",
    "RunRetrying",
    "RunStarted",
    "StepCompleted",
    "StepFailed",
    "StepStarted",
    "ToolCallCompleted",
    "ToolCallFailed",
    "ToolCallInputRequired",
    "ToolCallProgress",
    "ToolCallStarted",
    "ToolsListed",
    "UnknownEvent",
    "parse_event",
]

Json = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class RunStarted(Event):
    """`run.started`: a worker has started the run. `code` is the version of an agent's own code."""

    event_type = "run.started"
    status: str
    code: Json | None = None


@dataclass(frozen=True, kw_only=True)
class FeedbackRequested(Event, FeedbackRequestMethods):
    """`agent.human_feedback.requested`: the run asks a person for a text, a choice or a form."""

    event_type = "agent.human_feedback.requested"
    request_id: str = field(metadata=source("id"))
    prompt: str
    params: Json
    tool_call_id: str | None = None
    expires_at: str | None = None
    on_expiry: str | None = None


@dataclass(frozen=True, kw_only=True)
class FeedbackReceived(Event):
    """`agent.human_feedback.received`: a person has answered, or has declined to answer."""

    event_type = "agent.human_feedback.received"
    request_id: str = field(metadata=source("id"))
    answered_by: str
    feedback: Any = None
    declined: bool | None = None


@dataclass(frozen=True, kw_only=True)
class ApprovalCreated(Event, ApprovalRequestMethods):
    """`approval_request.created`: the run asks a person for an approval."""

    event_type = "approval_request.created"
    request_id: str = field(metadata=source("id"))
    prompt: str
    params: Json
    editable_params: Sequence[Any]
    tool: Json
    tool_call_id: str | None = None
    expires_at: str | None = None
    on_expiry: str | None = None


@dataclass(frozen=True, kw_only=True)
class ApprovalResolved(Event):
    """`approval_request.resolved`: a person has approved or denied.

    The call is made with `effective_params`.
    """

    event_type = "approval_request.resolved"
    request_id: str = field(metadata=source("id"))
    is_approved: bool
    proposed_params: Json
    effective_params: Json
    answered_by: str
    feedback: str | None = None


@dataclass(frozen=True, kw_only=True)
class InputExpired(Event):
    """`input_request.expired`: no person has answered in time."""

    event_type = "input_request.expired"
    request_id: str = field(metadata=source("id"))
    on_expiry: str


@dataclass(frozen=True, kw_only=True)
class RunPaused(Event):
    """`run.paused`: the run waits for a person, or sleeps until `until`."""

    event_type = "run.paused"
    status: str
    reason: str | None = None
    until: str | None = None


@dataclass(frozen=True, kw_only=True)
class RunResumed(Event):
    """`run.resumed`: the run continues."""

    event_type = "run.resumed"
    status: str


@dataclass(frozen=True, kw_only=True)
class RunRecovered(Event):
    """`run.recovered`: the service continues the run after an interruption.

    The deltas since the last `MessageCompleted` or `RunRecovered` are void.
    """

    event_type = "run.recovered"
    reason: str
    attempt: int
    failed_route: str | None = None
    route: str | None = None
    error: ErrorInfo | None = field(default=None, metadata=source(parse=ErrorInfo.parse))


@dataclass(frozen=True, kw_only=True)
class RunRetrying(Event):
    """`run.retrying`: a call of a model or a tool has failed, and the run waits to repeat it.

    `what` is `model` or `tool`. `attempt` counts the failed attempts of this call from 1.
    """

    event_type = "run.retrying"
    what: str
    name: str
    attempt: int
    code: str
    next_at: str | None = None
    tool_call_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class RunCancelRequested(Event):
    """`run.cancel_requested`: a caller has canceled the run."""

    event_type = "run.cancel_requested"
    requested_by: str
    last_seen_seq: int | None = None
    client_cancelled_at: str | None = None


@dataclass(frozen=True, kw_only=True)
class RunCompleted(Event):
    """`run.completed`: the run has its output."""

    event_type = "run.completed"
    is_terminal = True
    status: str
    output: Json
    usage: Usage = field(metadata=source(parse=Usage.parse))


@dataclass(frozen=True, kw_only=True)
class RunFailed(Event):
    """`run.failed`: the run cannot continue."""

    event_type = "run.failed"
    is_terminal = True
    status: str
    error: ErrorInfo = field(metadata=source(parse=ErrorInfo.parse))
    usage: Usage = field(metadata=source(parse=Usage.parse))


@dataclass(frozen=True, kw_only=True)
class RunCanceled(Event):
    """`run.canceled`: the run has ended by a cancel."""

    event_type = "run.canceled"
    is_terminal = True
    status: str


@dataclass(frozen=True, kw_only=True)
class UnknownEvent(Event):
    """An event of a type that this release does not know; `data` has its fields."""


_CLASSES: tuple[type[Event], ...] = (
    RunStarted,
    ToolsListed,
    ReasoningDelta,
    ResponseDelta,
    MessageCompleted,
    ContextCompacted,
    ToolCallStarted,
    ToolCallProgress,
    ToolCallInputRequired,
    ToolCallCompleted,
    ToolCallFailed,
    StepStarted,
    StepCompleted,
    StepFailed,
    Emitted,
    FeedbackRequested,
    FeedbackReceived,
    ApprovalCreated,
    ApprovalResolved,
    InputExpired,
    RunPaused,
    RunResumed,
    RunRecovered,
    RunRetrying,
    RunCancelRequested,
    RunCompleted,
    RunFailed,
    RunCanceled,
)
BY_TYPE: Mapping[str, type[Event]] = {each.event_type: each for each in _CLASSES}
"""The class of each type."""


def parse_event(raw: Json, run_id: str = "") -> Event:
    """Return the event of a JSON object of the Runs API. Unknown fields stay in `raw`."""
    return BY_TYPE.get(raw["type"], UnknownEvent).of(raw, run_id)
