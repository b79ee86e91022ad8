"""The translation between a dialogue and pydantic-ai's messages, both ways.

Turns and tools go out as pydantic-ai's messages and request parameters; the parts of a response
come back as a `ModelTurn`. Nothing here does any I/O.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pydantic_core
from pydantic_ai.messages import (
    BinaryContent,
    DocumentUrl,
    ImageUrl,
    ModelMessage,
    ModelRequestPart,
    ModelResponse,
    ModelResponsePart,
    ModelResponseStreamEvent,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
    ToolCallPart,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
)
from pydantic_ai.messages import ModelRequest as ProviderRequest
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.tools import ToolDefinition

from runyard_service.agents.models.attachments import contents_of
from runyard_service.agents.models.base import (
    INVALID_ARGUMENTS,
    AssistantMessage,
    Attachment,
    ModelRequest,
    ReasoningDelta,
    ResponseDelta,
    Thinking,
    ToolCall,
    ToolOutcome,
    ToolSpec,
    UserMessage,
)
from runyard_service.agents.models.compatibility.surrogates import (
    join_surrogates,
    without_surrogates,
)
from runyard_service.domain.content_types import IMAGES
from runyard_service.domain.ids import new_id


def to_parameters(request: ModelRequest) -> ModelRequestParameters:
    """The tools of a request, and whether the model may answer in plain text.

    With an output tool the request requires a tool call, the output tool or any
    other (`tool_choice: required`): else a structured output could arrive as prose.
    """
    functions = [_tool_definition(tool) for tool in request.tools]
    if request.output_tool is None:
        return ModelRequestParameters(function_tools=functions)
    return ModelRequestParameters(
        function_tools=functions,
        output_tools=[_tool_definition(request.output_tool, is_output=True)],
        output_mode="tool",
        allow_text_output=False,
    )


def _tool_definition(tool: ToolSpec, is_output: bool = False) -> ToolDefinition:
    return ToolDefinition(
        name=tool.name,
        description=tool.description,
        parameters_json_schema=dict(tool.parameters),
        kind="output" if is_output else "function",
    )


def to_messages(request: ModelRequest) -> list[ModelMessage]:
    """Return the whole dialogue for pydantic-ai, with the instructions on each request."""
    messages: list[ModelMessage] = []
    pending: list[UserMessage | ToolOutcome] = []
    for message in [*request.thread_messages, *request.messages]:
        if isinstance(message, AssistantMessage):
            parts = _response_parts(message)
            if parts:
                messages.extend(_requests(pending, request.instructions))
                pending = []
                messages.append(ModelResponse(parts=parts, provider_name=_provider_of(message)))
        else:
            pending.append(message)
    messages.extend(_requests(pending, request.instructions))
    return messages


def _requests(
    messages: Sequence[UserMessage | ToolOutcome], instructions: str
) -> Iterator[ProviderRequest]:
    """Yield the messages between two responses as at most one request.

    Results come first: every provider wants them right after the calls, even if a person sent a
    message while the calls were in flight.
    """
    outcomes = [_return_part(message) for message in messages if isinstance(message, ToolOutcome)]
    prompts = [
        UserPromptPart(_prompt(message)) for message in messages if isinstance(message, UserMessage)
    ]
    parts: list[ModelRequestPart] = [*outcomes, *prompts]
    if parts:
        yield ProviderRequest(parts=parts, instructions=instructions)


def _prompt(message: UserMessage) -> str | list[UserContent]:
    if not message.attachments:
        return message.content
    return [
        piece if isinstance(piece, str) else _file_content(piece) for piece in contents_of(message)
    ]


def _file_content(file: Attachment) -> UserContent:
    if not file.uri:
        return BinaryContent(file.data, media_type=file.mime_type)
    kind = ImageUrl if file.mime_type in IMAGES else DocumentUrl
    return kind(file.uri, media_type=file.mime_type)


def _return_part(outcome: ToolOutcome) -> ToolReturnPart:
    # `failed` reaches the provider as an error (a flag, or `{"error": …}` where it has none),
    # without the words about trying again that `retried` brings.
    return ToolReturnPart(
        tool_name=outcome.tool_name,
        content=outcome.content,
        tool_call_id=outcome.tool_call_id,
        outcome="failed" if outcome.is_error else "success",
    )


def _response_parts(message: AssistantMessage) -> list[ModelResponsePart]:
    parts: list[ModelResponsePart] = [
        ThinkingPart(
            content=thought.content,
            id=thought.id,
            signature=thought.signature,
            provider_name=thought.provider_name,
            provider_details=None
            if thought.provider_details is None
            else dict(thought.provider_details),
        )
        for thought in message.thinking
    ]
    if message.content:
        parts.append(TextPart(message.content))
    parts.extend(
        ToolCallPart(call.name, dict(call.input), tool_call_id=call.id)
        for call in message.tool_calls
    )
    return parts


def _provider_of(message: AssistantMessage) -> str | None:
    """The provider that signed the reasoning: only the same one gets it back as it was."""
    return next((part.provider_name for part in message.thinking if part.provider_name), None)


def to_assistant_message(parts: Iterable[ModelResponsePart]) -> AssistantMessage:
    """A finished response as a message, each tool call under a new id of ours.

    The provider's ids are dropped, because they can be empty or repeated. The content is
    exactly what the deltas brought, in one piece.
    """
    texts: list[str] = []
    calls: list[ToolCall] = []
    thinking: list[Thinking] = []
    for part in parts:
        match part:
            case TextPart():
                texts.append(encodable(part.content))
            case ThinkingPart():
                thinking.append(_thinking(part))
            case ToolCallPart():
                calls.append(ToolCall(new_id(), part.tool_name, to_input(part.args)))
            case _:
                # Files, and the provider's own tools: this service asks for neither.
                pass
    return AssistantMessage("".join(texts), tuple(calls), tuple(thinking))


def _thinking(part: ThinkingPart) -> Thinking:
    return Thinking(
        content=encodable(part.content),
        signature=part.signature,
        id=part.id,
        provider_name=part.provider_name,
        provider_details=part.provider_details,
    )


def to_input(arguments: str | Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The arguments of a call: an object, empty if there are none.

    What is not a JSON object (also NaN, or half a surrogate pair, which no JSON reader takes) comes
    back whole under INVALID_ARGUMENTS.
    """
    if arguments is None:
        return {}
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments)
    if not arguments.strip():
        return {}
    try:
        parsed = pydantic_core.from_json(join_surrogates(arguments), allow_inf_nan=False)
    except (TypeError, ValueError):  # TypeError: a lone surrogate.
        return {INVALID_ARGUMENTS: encodable(arguments)}
    return parsed if isinstance(parsed, dict) else {INVALID_ARGUMENTS: encodable(arguments)}


def has_torn_call(parts: Sequence[ModelResponsePart]) -> bool:
    """Return whether the last call's arguments are a JSON object that ends too early."""
    calls = [part for part in parts if isinstance(part, ToolCallPart)]
    arguments = calls[-1].args if calls else None
    if not isinstance(arguments, str) or not arguments.lstrip().startswith("{"):
        return False
    try:
        pydantic_core.from_json(without_surrogates(arguments))
    except ValueError as error:
        return str(error).startswith("EOF while parsing")
    return False


def to_delta(event: ModelResponseStreamEvent) -> ReasoningDelta | ResponseDelta | None:
    """The piece of text or reasoning that an event brings; None where it brings nothing to show."""
    match event:
        case PartStartEvent(part=TextPart(content=text)):
            return ResponseDelta(text) if text else None
        case PartDeltaEvent(delta=TextPartDelta(content_delta=text)):
            return ResponseDelta(text) if text else None
        case PartStartEvent(part=ThinkingPart(content=thought)):
            return ReasoningDelta(thought) if thought else None
        case PartDeltaEvent(delta=ThinkingPartDelta(content_delta=thought)):
            return ReasoningDelta(thought) if thought else None
        case _:
            return None


def encodable(text: str) -> str:
    """The text with `?` for each lone surrogate, which some servers send and no store can take."""
    return without_surrogates(text)
