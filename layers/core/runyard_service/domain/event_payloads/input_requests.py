"""The `data` of the events about input requests."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict


class RequestedTool(TypedDict):
    """What the run does after the answer. `effect` is `none`, `idempotent` or `unsafe`."""

    name: str
    type: str
    effect: str


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
    tool: RequestedTool


class FeedbackReceived(TypedDict):
    """`agent.human_feedback.received`: with `feedback`, or `declined`.

    `answered_by` is the id of the person of the access key, or else of the key.
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
