"""The `data` of each kind of event, as the event catalogue defines it.

These types exist for the type checker. An event from a log may have more fields.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NotRequired, TypedDict

# What a response without an answer lacks.
MissingAnswer = Literal["empty", "reasoning_only", "no_tool_call", "incomplete"]


class MessageUsage(TypedDict):
    """The tokens and the cost in USD that the provider reported for one response.

    The fields of tokens are missing if the provider did not count them.
    """

    input_tokens: NotRequired[int]
    output_tokens: NotRequired[int]
    cached_input_tokens: NotRequired[int]
    cost_usd: NotRequired[float]


class RequestedCall(TypedDict):
    """A tool call in a message of the model."""

    id: str
    name: str
    input: Mapping[str, Any]


class MessageCompleted(TypedDict):
    """`agent.message.completed`. `truncated_by` names our limit that cut the message off.

    `parts`, `fields` and `route` hold what the provider wants back; see `message_events.py`.
    `no_answer` has the provider's `finish_reason`. `paused` means that the next one continues it.
    """

    object: str
    content: str
    iteration: int
    usage: MessageUsage
    model: str
    truncated: NotRequired[bool]
    truncated_by: NotRequired[str]
    no_answer: NotRequired[MissingAnswer]
    finish_reason: NotRequired[str]
    paused: NotRequired[bool]
    tool_calls: NotRequired[Sequence[RequestedCall]]
    parts: NotRequired[Sequence[Mapping[str, Any]]]
    fields: NotRequired[Mapping[str, Any]]
    route: NotRequired[str]


class ErrorInfo(TypedDict):
    """The error of a run or of a tool call.

    `error_id` finds an internal error in the log. `provider` is what the provider of the model
    said: `status`, `code`, `message`, `request_id`.
    """

    code: str
    message: str
    error_id: NotRequired[str]
    provider: NotRequired[Mapping[str, Any]]


class ToolCallPayload(TypedDict):
    """`agent.tool_call.started`, `.completed` (with `result`) and `.failed` (with `error`)."""

    id: str
    object: str
    input: Mapping[str, Any]
    iteration: int
    tool: Mapping[str, str]
    result: NotRequired[str]
    error: NotRequired[ErrorInfo]


class LimitParams(TypedDict):
    """The `params` of the approval request for a higher limit."""

    limit: str
    used: float
    current_limit: float
    new_limit: float


class InterruptedCallParams(TypedDict):
    """The `params` of the request that asks what to do with an interrupted tool call."""

    choices: Sequence[str]
    input: Mapping[str, Any]


class RecoveredPayload(TypedDict):
    """`run.recovered`."""

    id: str
    reason: str
    attempt: int


class InputRequested(TypedDict):
    """What an input request of either type has. Without `tool_call_id` it is about a limit."""

    id: str
    prompt: str
    params: Mapping[str, Any]
    tool_call_id: NotRequired[str]
    expires_at: NotRequired[str]
    on_expiry: NotRequired[str]


class FeedbackRequested(InputRequested):
    """`agent.human_feedback.requested`."""

    object: Literal["agent.human_feedback"]


class ApprovalRequested(InputRequested):
    """`approval_request.created`."""

    object: Literal["approval_request"]
    editable_params: Sequence[str]
    tool: Mapping[str, str]


class FeedbackReceived(TypedDict):
    """`agent.human_feedback.received`. `answered_by` is the id of an access key."""

    id: str
    feedback: Any
    answered_by: str


class ApprovalResolved(TypedDict):
    """`approval_request.resolved`. `effective_params` are the arguments after the edits."""

    id: str
    is_approved: bool
    feedback: NotRequired[str]
    proposed_params: Mapping[str, Any]
    effective_params: Mapping[str, Any]
    answered_by: str


class InputExpired(TypedDict):
    """`input_request.expired`."""

    id: str
    on_expiry: str


class RunPayload(TypedDict):
    """`run.started`, `run.paused`, `run.resumed` and `run.canceled`."""

    id: str
    object: Literal["run"]
    status: str


class RunUsage(TypedDict):
    """The usage of a run. `cost_usd` is missing without a price, `duration_ms` before the end."""

    input_tokens: int
    output_tokens: int
    cached_input_tokens: NotRequired[int]
    cost_usd: NotRequired[float]
    steps: int
    duration_ms: NotRequired[int]


class RunCompleted(RunPayload):
    """`run.completed`."""

    output: Mapping[str, Any]
    usage: RunUsage


class RunFailed(RunPayload):
    """`run.failed`."""

    error: ErrorInfo
    usage: RunUsage
