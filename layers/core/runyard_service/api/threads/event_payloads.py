"""The `data` of each type of event in the Threads API."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from runyard_service.domain.event_payloads.by_type import EVENT_PAYLOADS
from runyard_service.domain.event_payloads.messages import MessageUsage
from runyard_service.domain.event_payloads.runs import ErrorInfo, RunUsage
from runyard_service.domain.event_payloads.tool_calls import ReturnedFilePayload


class ThreadsRunStarted(TypedDict):
    """`run.started`. `route_id` is null without a route, `model` if it is not known yet."""

    route_id: str | None
    persona_id: str
    model: str | None
    trace_id: str


class ThreadsMessageDelta(TypedDict):
    """`message.delta`: a piece of the model's text, or of its reasoning in `thinking`."""

    content: str
    role: Literal["assistant"]
    channel: NotRequired[Literal["thinking"]]


class ThreadsMessageCompleted(TypedDict):
    """`message.completed`: a whole response of the model."""

    content: str
    role: Literal["assistant"]
    usage: MessageUsage


class ThreadsToolCall(TypedDict):
    """`tool.call`, which is recorded before the call is made."""

    tool_call_id: str
    tool_name: str
    arguments: Mapping[str, Any]


class ThreadsToolResult(TypedDict):
    """`tool.result`: with `result`, or with `error` if the call has failed."""

    tool_call_id: str
    tool_name: str
    result: NotRequired[str]
    error: NotRequired[ErrorInfo]
    files: NotRequired[Sequence[ReturnedFilePayload]]


class ThreadsWaitingForInput(TypedDict):
    """`run.waiting_for_input`. `editable_params` names the arguments that a person may change."""

    request_id: str
    type: Literal["human_feedback", "approval_request"]
    prompt: str
    params: Mapping[str, Any]
    editable_params: NotRequired[Sequence[str]]
    expires_at: NotRequired[str]
    on_expiry: NotRequired[str]


class ThreadsInputProvided(TypedDict):
    """`run.input_provided`. `is_approved` is the decision about an approval request."""

    request_id: str
    content: str | None
    is_approved: NotRequired[bool]
    declined: NotRequired[Literal[True]]


class ThreadsInputExpired(TypedDict):
    """`run.input_expired`: no person has answered in time."""

    request_id: str


class ThreadsRunPaused(TypedDict):
    """`run.paused`. A run that sleeps continues at `until`."""

    reason: str
    until: NotRequired[str]


class ThreadsNoData(TypedDict):
    """No fields: `run.resumed` and `run.cancelled`."""


class ThreadsRunRecovered(TypedDict):
    """`run.recovered`: the run continues where its log ends.

    With the reason `model_fallback`, `route` names the route that the run uses from now on, and
    `error` is the last error of `failed_route`.
    """

    reason: str
    attempt: int
    failed_route: NotRequired[str]
    route: NotRequired[str]
    error: NotRequired[ErrorInfo]


class ThreadsRunRetrying(TypedDict):
    """`run.retrying`: a call of a model or a tool has failed, and the run waits to repeat it.

    `next_at` is missing if Step Functions repeats the step, and `tool_call_id` for a model.
    """

    what: Literal["model", "tool"]
    name: str
    attempt: int
    code: str
    next_at: NotRequired[str]
    tool_call_id: NotRequired[str]


class ThreadsCancelRequested(TypedDict):
    """`run.cancel_requested`, with what the client sent with the cancel."""

    requested_by: str
    last_seen_seq: NotRequired[int]
    client_cancelled_at: NotRequired[str]


class ThreadsRunCompleted(TypedDict):
    """`run.completed`. `cost` is in USD, or null without a price."""

    usage: RunUsage
    cost: float | None


class ThreadsRunFailed(TypedDict):
    """`run.failed`. `error_class` is the code of the error."""

    error_class: str
    message: str


_UNCHANGED = (
    "agent.tools.listed",
    "agent.context.compacted",
    "agent.tool_call.progress",
    "agent.tool_call.input_required",
    "agent.step.started",
    "agent.step.completed",
    "agent.step.failed",
    "agent.emitted",
)

THREADS_EVENT_PAYLOADS: Mapping[str, type] = {
    "run.started": ThreadsRunStarted,
    "message.delta": ThreadsMessageDelta,
    "message.completed": ThreadsMessageCompleted,
    "tool.call": ThreadsToolCall,
    "tool.result": ThreadsToolResult,
    "run.waiting_for_input": ThreadsWaitingForInput,
    "run.input_provided": ThreadsInputProvided,
    "run.input_expired": ThreadsInputExpired,
    "run.paused": ThreadsRunPaused,
    "run.resumed": ThreadsNoData,
    "run.recovered": ThreadsRunRecovered,
    "run.retrying": ThreadsRunRetrying,
    "run.cancel_requested": ThreadsCancelRequested,
    "run.completed": ThreadsRunCompleted,
    "run.failed": ThreadsRunFailed,
    "run.cancelled": ThreadsNoData,
    **{type_: payload for type_, payload in EVENT_PAYLOADS.items() if type_ in _UNCHANGED},
}
