"""The conversation with a model in provider-neutral types, and the port to a model.

`conversation.py` builds these from the log, `scripted.py` plays them, and `providers/model.py`
translates them for pydantic-ai. Nothing here imports a provider, so it costs no cold start.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, Protocol

from runyard_service.agents.definitions.model_settings.fields import RequestSettings


@dataclass(frozen=True)
class Attachment:
    """A file for the model. `data` holds the first of its `size` bytes, up to the size limit.

    `uri` replaces `data` by a data URI for providers that accept only that.
    """

    id: str
    name: str
    mime_type: str
    size: int
    data: bytes = field(default=b"", repr=False)
    uri: str = field(default="", repr=False)


@dataclass(frozen=True)
class UserMessage:
    """A message to the model from a person or from Runyard."""

    content: str
    attachments: Sequence[Attachment] = ()


@dataclass(frozen=True)
class Text:
    """A piece of the response's text. `provider_details` go back to the provider that wrote it."""

    content: str
    provider_details: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class ToolCall:
    """One call that the model asks for. `id` is Runyard's own UUID.

    The provider that made the call gets its own `provider_id` and `provider_details` back.
    """

    id: str
    name: str
    input: Mapping[str, Any]
    provider_id: str = ""
    provider_details: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Thinking:
    """A reasoning part, in the form that the provider requires in later requests."""

    content: str
    signature: str | None = None
    id: str | None = None
    provider_details: Mapping[str, Any] | None = None


MessagePart = Text | Thinking | ToolCall


@dataclass(frozen=True)
class AssistantMessage:
    """A complete response of the model: its parts, in the order of the provider.

    `fields` are further fields of the message that the provider wants back. `route` names the route
    of the model that wrote it. Only this route gets back what is the provider's own.
    """

    parts: tuple[MessagePart, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)
    route: str = ""

    @property
    def content(self) -> str:
        """Return the whole text, which is the concatenation of the deltas."""
        return "".join(part.content for part in self.parts if isinstance(part, Text))

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """Return the calls in the order of the message."""
        return tuple(part for part in self.parts if isinstance(part, ToolCall))


@dataclass(frozen=True)
class ToolOutcome:
    """The result or error of one tool call, as sent to the model."""

    tool_call_id: str
    tool_name: str
    content: str
    is_error: bool = False


ChatMessage = UserMessage | AssistantMessage | ToolOutcome


@dataclass(frozen=True)
class ToolSpec:
    """The description of a tool for the model. `parameters` is a JSON Schema of type object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class TokenUsage:
    """Tokens as the provider counts them.

    `input_tokens` includes those that were read from a cache (`cached_input_tokens`) and written to
    it (`cache_write_tokens`). Of the written tokens, `long_cache_write_tokens` stay for an hour.

    Raise ValueError for a count below zero, or parts that exceed the input tokens.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    long_cache_write_tokens: int = 0

    def __post_init__(self) -> None:
        """Check the counts: a wrong count would make a cost negative."""
        counts = (self.output_tokens, self.cached_input_tokens, self.plain_input_tokens)
        if min(counts) < 0 or not 0 <= self.long_cache_write_tokens <= self.cache_write_tokens:
            raise ValueError(f"impossible token counts: {self}")

    @property
    def plain_input_tokens(self) -> int:
        """Return the input tokens that no cache was used for."""
        return self.input_tokens - self.cached_input_tokens - self.cache_write_tokens


@dataclass(frozen=True)
class ModelRequest:
    """A request for one response. `output_tool` is the tool for a structured output.

    `thread_messages` are those of the thread before the run; `messages` are the run's own.
    `input` is the run's input as data, and `attempt` counts from 1 the attempts of this
    request: only the scripted model uses them. `last_usage` is the token usage that the provider
    reported for the newest response, if known: it helps to bound the next. `project_id` is the
    run's project: another project must not read what the provider said about this request.
    `route` names the route of the model; `is_fallback` is True if another route was used before.
    `settings` are those of the agent. `purpose` is `summary` for a summary of earlier messages.
    `left_out` are the run's own messages that a summary replaces: only the scripted model uses
    them.
    """

    instructions: str
    messages: Sequence[ChatMessage]
    thread_messages: Sequence[ChatMessage] = ()
    tools: Sequence[ToolSpec] = ()
    output_tool: ToolSpec | None = None
    max_output_tokens: int | None = None
    input: Mapping[str, Any] = field(default_factory=dict)
    attempt: int = 1
    last_usage: TokenUsage | None = None
    project_id: str = ""
    route: str = ""
    purpose: Literal["response", "summary"] = "response"
    left_out: Sequence[ChatMessage] = ()
    settings: RequestSettings = field(default_factory=RequestSettings)
    is_fallback: bool = False


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
    """The end of a model's stream: the whole message, its tokens, and its price if it is known.

    `usage` is None if the provider did not count all tokens. `cost_usd` is exact; None if no price
    or no usage is known. `is_truncated` is True if the response was
    truncated: by `max_output_tokens`, by the model's context window, or by its server.
    `finish_reason` is the provider's own word for the end of the response, empty if it has none.
    """

    message: AssistantMessage
    usage: TokenUsage | None = field(default_factory=TokenUsage)
    cost_usd: Decimal | None = None
    model: str = ""
    is_truncated: bool = False
    finish_reason: str = ""


ModelEvent = ReasoningDelta | ResponseDelta | Response


class ModelCosts(Protocol):
    """What a request may use at most, and what it costs."""

    def max_usage(self, request: ModelRequest) -> TokenUsage:
        """Return the maximum usage of this request, known before it is sent.

        The output is what `max_output_tokens` allows, or would have to allow where it is None.
        """
        ...

    def cost_of(self, usage: TokenUsage) -> Decimal | None:
        """Return the cost of `usage` in USD; None if no price is known. More never cost less."""
        ...


class Model(ModelCosts, Protocol):
    """A model that answers one request by a stream that ends with exactly one `Response`."""

    def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Stream one response.

        Raise ModelUnavailableError if another attempt may succeed, else ModelRejectedError.
        """
        ...
