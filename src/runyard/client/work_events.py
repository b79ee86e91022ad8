"""The classes of the events about a run's work: the model, tools, and steps of own code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from runyard.client.event_base import Event
from runyard.client.models import ErrorInfo, Usage
from runyard.client.records import source

Json = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class ToolsListed(Event):
    """`agent.tools.listed`: the run has listed the tools of an MCP server."""

    event_type = "agent.tools.listed"
    server: str
    protocol: str
    digest: str
    tools: Sequence[Any]
    reason: str | None = None
    changes: Json | None = None
    unmatched: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class ReasoningDelta(Event):
    """`agent.reasoning.delta`: the model has produced a piece of its reasoning."""

    event_type = "agent.reasoning.delta"
    delta: str
    iteration: int


@dataclass(frozen=True, kw_only=True)
class ResponseDelta(Event):
    """`agent.response.delta`: the model has produced a piece of its text."""

    event_type = "agent.response.delta"
    delta: str
    iteration: int


@dataclass(frozen=True, kw_only=True)
class MessageCompleted(Event):
    """`agent.message.completed`: a model response is complete."""

    event_type = "agent.message.completed"
    content: str
    iteration: int
    usage: Usage = field(metadata=source(parse=Usage.parse))
    model: str
    tool_calls: Sequence[Any] = ()
    truncated: bool | None = None
    truncated_by: str | None = None
    no_answer: str | None = None
    finish_reason: str | None = None
    paused: bool | None = None
    parts: Sequence[Any] = ()
    fields: Json | None = None
    route: str | None = None
    op: Json | None = None


@dataclass(frozen=True, kw_only=True)
class ContextCompacted(Event):
    """`agent.context.compacted`: later requests leave out old turns, or parts of old results."""

    event_type = "agent.context.compacted"
    iteration: int
    reason: str
    through: int
    thread_messages: int
    cut: Json | None = None
    summary: str
    usage: Usage = field(metadata=source(parse=Usage.parse))
    model: str


@dataclass(frozen=True, kw_only=True)
class ToolCallStarted(Event):
    """`agent.tool_call.started`: a tool call is recorded, before it is made."""

    event_type = "agent.tool_call.started"
    tool_call_id: str = field(metadata=source("id"))
    input: Json
    iteration: int
    tool: Json
    op: Json | None = None


@dataclass(frozen=True, kw_only=True)
class ToolCallProgress(Event):
    """`agent.tool_call.progress`: an MCP server reports how far a call is."""

    event_type = "agent.tool_call.progress"
    tool_call_id: str = field(metadata=source("id"))
    progress: float
    total: float | None = None
    message: str | None = None


@dataclass(frozen=True, kw_only=True)
class ToolCallInputRequired(Event):
    """`agent.tool_call.input_required`: an MCP server asks for input before it makes the call."""

    event_type = "agent.tool_call.input_required"
    tool_call_id: str = field(metadata=source("id"))
    round: int
    requests: Json
    answered: Json | None = None


@dataclass(frozen=True, kw_only=True)
class ToolCallCompleted(Event):
    """`agent.tool_call.completed`: a tool call has a result."""

    event_type = "agent.tool_call.completed"
    tool_call_id: str = field(metadata=source("id"))
    input: Json
    iteration: int
    tool: Json
    result: str
    files: Sequence[Any] = ()
    op: Json | None = None


@dataclass(frozen=True, kw_only=True)
class ToolCallFailed(Event):
    """`agent.tool_call.failed`: a tool call has failed; the run continues."""

    event_type = "agent.tool_call.failed"
    tool_call_id: str = field(metadata=source("id"))
    input: Json
    iteration: int
    tool: Json
    error: ErrorInfo = field(metadata=source(parse=ErrorInfo.parse))
    op: Json | None = None


@dataclass(frozen=True, kw_only=True)
class StepStarted(Event):
    """`agent.step.started`: an agent's own code may run an unsafe step."""

    event_type = "agent.step.started"
    step_id: str = field(metadata=source("id"))
    key: str
    digest: str
    name: str
    effect: str
    invocation: int | None = None
    usage: Json | None = None


@dataclass(frozen=True, kw_only=True)
class StepCompleted(Event):
    """`agent.step.completed`: a step of an agent's own code has a result."""

    event_type = "agent.step.completed"
    step_id: str = field(metadata=source("id"))
    key: str
    digest: str
    name: str
    effect: str
    result: Any = None
    invocation: int | None = None
    usage: Json | None = None


@dataclass(frozen=True, kw_only=True)
class StepFailed(Event):
    """`agent.step.failed`: a step of an agent's own code has failed."""

    event_type = "agent.step.failed"
    step_id: str = field(metadata=source("id"))
    key: str
    digest: str
    name: str
    effect: str
    error: ErrorInfo = field(metadata=source(parse=ErrorInfo.parse))
    invocation: int | None = None
    usage: Json | None = None


@dataclass(frozen=True, kw_only=True)
class Emitted(Event):
    """`agent.emitted`: an agent's own code has emitted an event. `content` is its data."""

    event_type = "agent.emitted"
    key: str
    digest: str
    name: str
    content: Any = field(default=None, metadata=source("data"))
    invocation: int | None = None
