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
    cache_write_tokens: NotRequired[int]
    cost_usd: NotRequired[float]


class RequestedCall(TypedDict):
    """A tool call in a message of the model."""

    id: str
    name: str
    input: Mapping[str, Any]


class OperationRef(TypedDict):
    """The operation of an agent's own code that an event belongs to: its `op`.

    `kind` is `model`, `tool`, `ask`, `approve`, `sleep` or `step`. On a message, `output` is the
    structured output, and `error` says why there is none.
    """

    key: str
    digest: str
    kind: str
    output: NotRequired[Mapping[str, Any]]
    error: NotRequired["ErrorInfo"]


class MessageCompleted(TypedDict):
    """`agent.message.completed`. `truncated_by` names our limit that cut the message off.

    `parts` and `fields` hold what the provider wants back; see `message_events.py`. `route` names
    the route that gets them back, and any fallback route.
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
    op: NotRequired[OperationRef]


class ResultCut(TypedDict):
    """The results of the steps up to `through` are cut to `bytes` of UTF-8 in later requests."""

    through: int
    bytes: int


class ContextCompacted(TypedDict):
    """`agent.context.compacted`: what the requests from `iteration` on contain.

    `summary` replaces the steps up to `through` and the first `thread_messages` of the thread. It
    is empty without them. `model` and `usage` are those of the call that wrote it, empty without
    a call. `reason` is `size`, or `rejected` if the provider rejected a longer request.
    """

    object: str
    iteration: int
    reason: Literal["size", "rejected"]
    through: int
    thread_messages: int
    cut: ResultCut | None
    summary: str
    usage: MessageUsage
    model: str


class ErrorInfo(TypedDict):
    """The error of a run or of a tool call.

    `error_id` finds an internal error in the log. `provider` is what the provider of the model
    said: `status`, `code`, `message`, `request_id`.
    """

    code: str
    message: str
    error_id: NotRequired[str]
    provider: NotRequired[Mapping[str, Any]]


class ReturnedFilePayload(TypedDict):
    """A file that a tool returned, which is stored as a file of the project."""

    id: str
    name: str
    mime_type: str
    size: int


class ToolCallPayload(TypedDict):
    """`agent.tool_call.started`, `.completed` (with `result`) and `.failed` (with `error`).

    `files` are the files that came with the result.
    """

    id: str
    object: str
    input: Mapping[str, Any]
    iteration: int
    tool: Mapping[str, str]
    result: NotRequired[str]
    files: NotRequired[Sequence[ReturnedFilePayload]]
    error: NotRequired[ErrorInfo]
    op: NotRequired[OperationRef]


class ToolCallProgress(TypedDict):
    """`agent.tool_call.progress`, as the MCP server reports it."""

    id: str
    progress: float
    total: NotRequired[float]
    message: NotRequired[str]


class ToolCallInputRequired(TypedDict):
    """`agent.tool_call.input_required`: an MCP server asks for input before it makes the call.

    `requests` has what the server sent, by its own keys. `round` counts from 1. `answered` has the
    ids of earlier input requests whose answers are the answers to some of the keys.
    """

    id: str
    round: int
    requests: Mapping[str, Mapping[str, Any]]
    answered: NotRequired[Mapping[str, str]]


# `as` is the model's name of the tool.
ListedToolPayload = TypedDict(
    "ListedToolPayload",
    {
        "name": str,
        "as": str,
        "description": str,
        "parameters": Mapping[str, Any],
        "output_schema": NotRequired[Mapping[str, Any]],
        "annotations": Mapping[str, Any],
    },
)


class ToolsListed(TypedDict):
    """`agent.tools.listed`: the tools of an MCP server that the run uses from now on.

    `reason` says why the list of an optional server is empty. `changes` has the tools that differ
    from the lock file, by the server's own names: `added`, `changed` or `removed`.
    """

    server: str
    protocol: str
    digest: str
    tools: Sequence[ListedToolPayload]
    reason: NotRequired[str]
    changes: NotRequired[Mapping[str, str]]


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
    """`run.recovered`.

    With the reason `model_fallback`, `route` names the route that the run uses from now on, and
    `error` is the last error of `failed_route`.
    """

    id: str
    reason: str
    attempt: int
    failed_route: NotRequired[str]
    route: NotRequired[str]
    error: NotRequired[ErrorInfo]


class StepPayload(TypedDict):
    """`agent.step.started`, `.completed` (with `result`) and `.failed` (with `error`)."""

    id: str
    object: str
    key: str
    digest: str
    name: str
    effect: str
    result: NotRequired[Any]
    error: NotRequired[Mapping[str, str]]


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
    """`agent.human_feedback.received`: with `feedback`, or `declined`.

    `answered_by` is the id of an access key.
    """

    id: str
    feedback: NotRequired[Any]
    declined: NotRequired[bool]
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
    """`run.started`, `run.paused`, `run.resumed` and `run.canceled`.

    `code` is the version of an agent's own code. A run that sleeps has the `reason` `sleeping`, and
    continues at `until`.
    """

    id: str
    object: Literal["run"]
    status: str
    code: NotRequired[Mapping[str, str]]
    reason: NotRequired[str]
    until: NotRequired[str]


class RunUsage(TypedDict):
    """The usage of a run. `cost_usd` is missing without a price, `duration_ms` before the end."""

    input_tokens: int
    output_tokens: int
    cached_input_tokens: NotRequired[int]
    cache_write_tokens: NotRequired[int]
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
