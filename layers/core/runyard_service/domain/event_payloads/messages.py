"""The `data` of the events about responses of the model, and of compactions."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from runyard_service.domain.event_payloads.operations import OperationRef

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


class ReasoningDelta(TypedDict):
    """`agent.reasoning.delta`: a piece of the model's reasoning."""

    object: Literal["agent.reasoning"]
    delta: str
    iteration: int


class ResponseDelta(TypedDict):
    """`agent.response.delta`: a piece of the model's text."""

    object: Literal["agent.response"]
    delta: str
    iteration: int


class RequestedCall(TypedDict):
    """A tool call in a message of the model."""

    id: str
    name: str
    input: Mapping[str, Any]


class MessageCompleted(TypedDict):
    """`agent.message.completed`. `truncated_by` names the limit of Runyard that cut it off.

    `parts` and `fields` hold what the provider wants back. `route` names the route that gets them
    back, and any fallback route.
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
