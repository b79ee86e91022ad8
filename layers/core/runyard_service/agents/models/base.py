"""The conversation with a model in Runyard's own, provider-neutral words, and the port to a model.

`conversation.py` builds these from the log, `scripted_model.py` plays them, and `provider_model.py`
translates them for pydantic-ai. Nothing here imports a provider, so it costs no cold start.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol


@dataclass(frozen=True)
class Attachment:
    """A file that the model is given. `data` is as much of its `size` bytes as may be shown.

    `uri` is the same as a data URI, in place of it, where the provider takes it so.
    """

    id: str
    name: str
    mime_type: str
    size: int
    data: bytes = field(default=b"", repr=False)
    uri: str = field(default="", repr=False)


@dataclass(frozen=True)
class UserTurn:
    """What the model is told by a person or by Runyard itself."""

    content: str
    attachments: Sequence[Attachment] = ()


@dataclass(frozen=True)
class ToolCall:
    """One call that the model asks for. `id` is Runyard's own UUID, also towards the provider."""

    id: str
    name: str
    input: Mapping[str, Any]


@dataclass(frozen=True)
class Thinking:
    """One reasoning part of a reply, as the provider wants it back (`signature` and the like)."""

    content: str
    signature: str | None = None
    id: str | None = None
    provider_name: str | None = None
    provider_details: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class ModelTurn:
    """A whole reply of the model."""

    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    thinking: tuple[Thinking, ...] = ()


@dataclass(frozen=True)
class ToolOutcome:
    """What became of one tool call, as the model is told it."""

    tool_call_id: str
    tool_name: str
    content: str
    is_error: bool = False


# The only key of the input of a call whose arguments were no JSON object: what the model wrote. The
# call is not made, and the model is told.
INVALID_ARGUMENTS = "__invalid_arguments__"

Turn = UserTurn | ModelTurn | ToolOutcome


@dataclass(frozen=True)
class ToolSpec:
    """What the model is told about a tool. `parameters` is a JSON Schema of type object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class TokenUsage:
    """Tokens as the provider counts them; `input_tokens` includes the cached ones."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0


@dataclass(frozen=True)
class ModelRequest:
    """One request for one reply. `output_tool` is the tool by which a structured answer is given.

    `earlier` is what was said in the run's thread before the run; the turns are the run's own.
    `input` is the run's input as data, and `attempt` counts from 1 how often this very request was
    made: a scripted model plays by them, a provider never sees them. `reported` are the tokens that
    the provider counted for the newest reply, where they are known: they help to bound the next.
    """

    instructions: str
    turns: Sequence[Turn]
    thread_messages: Sequence[Turn] = ()
    tools: Sequence[ToolSpec] = ()
    output_tool: ToolSpec | None = None
    max_output_tokens: int | None = None
    input: Mapping[str, Any] = field(default_factory=dict)
    attempt: int = 1
    reported: TokenUsage | None = None


@dataclass(frozen=True)
class ReasoningDelta:
    """A piece of the model's reasoning, as it arrives."""

    delta: str


@dataclass(frozen=True)
class ResponseDelta:
    """A piece of the model's text, as it arrives."""

    delta: str


@dataclass(frozen=True)
class Response:
    """The end of a model's stream: the whole turn, its tokens, and its price where it is known.

    `cost_usd` is exact; None where no price is known. `is_cut` says that the reply was
    truncated: by `max_output_tokens`, by the model's context window, or by its server.
    """

    turn: ModelTurn
    usage: TokenUsage = field(default_factory=TokenUsage)
    cost_usd: Decimal | None = None
    model: str = ""
    is_cut: bool = False


ModelEvent = ReasoningDelta | ResponseDelta | Response


class Model(Protocol):
    """A model that answers one request by a stream that ends with exactly one `Reply`."""

    def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Stream one reply.

        Raises ModelUnavailableError where another attempt may succeed, ModelRefusedError where not.
        """
        ...

    def max_usage(self, request: ModelRequest) -> TokenUsage:
        """The most that the reply to this request can use, known before it is asked for.

        The output is what `max_output_tokens` allows, or would have to allow where it is None.
        """
        ...

    def cost_of(self, usage: TokenUsage) -> Decimal | None:
        """What so many tokens cost in USD; None where no price is known. More never cost less."""
        ...
