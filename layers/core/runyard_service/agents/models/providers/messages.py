"""The translation of pydantic-ai's responses and events into the parts of a message.

`requests.py` translates the other way. Nothing here does any I/O.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pydantic_core
from pydantic_ai.messages import (
    ModelResponsePart,
    ModelResponseStreamEvent,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
    ToolCallPart,
)

from runyard_service.agents.models.base import (
    AssistantMessage,
    MessagePart,
    ReasoningDelta,
    ResponseDelta,
    Text,
    Thinking,
    ToolCall,
)
from runyard_service.agents.models.providers.returned_responses import ITEM_ID
from runyard_service.agents.tool_arguments import encodable, parse_arguments
from runyard_service.domain.ids import new_id

# pydantic-ai makes up an id with this prefix for a call that has none.
_MADE_UP_ID = "pyd_ai_"
# OpenAI's phase, Gemini's signature. Others describe a text, such as its probabilities.
_OF_TEXT = frozenset({"phase", "thought_signature"})


def to_assistant_message(
    parts: Iterable[ModelResponsePart], fields: Mapping[str, Any] | None = None
) -> AssistantMessage:
    """Return a finished response as a message, each tool call under a new id of Runyard.

    The provider's ids can be empty or repeated. The text is exactly what the deltas brought.
    """
    return AssistantMessage(
        tuple(part for own in parts if (part := _to_part(own)) is not None), fields or {}
    )


def _to_part(part: ModelResponsePart) -> MessagePart | None:
    match part:
        case TextPart(content=text):
            details = _details(part, _OF_TEXT)
            return Text(encodable(text), details) if text or details else None
        case ThinkingPart():
            return Thinking(
                content=encodable(part.content),
                signature=part.signature or None,
                id=part.id,
                provider_details=part.provider_details,
            )
        case ToolCallPart():
            is_made_up = part.tool_call_id.startswith(_MADE_UP_ID)
            return ToolCall(
                new_id(),
                encodable(part.tool_name),
                parse_arguments(part.args),
                provider_id="" if is_made_up else encodable(part.tool_call_id),
                provider_details=_details(part),
            )
        case _:
            # Files, and the provider's own tools: this service asks for neither.
            return None


def _details(
    part: TextPart | ToolCallPart, names: frozenset[str] | None = None
) -> dict[str, Any] | None:
    """Return what the provider wants back with a text or a call, and the id of its output item."""
    details = {
        name: value
        for name, value in (part.provider_details or {}).items()
        if names is None or name in names
    }
    if part.id:
        details[ITEM_ID] = part.id
    return details or None


def has_torn_call(parts: Sequence[ModelResponsePart]) -> bool:
    """Return whether the last call's arguments are a JSON object that ends too early."""
    calls = [part for part in parts if isinstance(part, ToolCallPart)]
    arguments = calls[-1].args if calls else None
    if not isinstance(arguments, str) or not arguments.lstrip().startswith("{"):
        return False
    try:
        pydantic_core.from_json(encodable(arguments))
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
