"""The translation of earlier responses, which go back to a provider with the next request.

What a provider wrote goes back to it as it was: the order of the parts, its own call ids, and the
data that only it can read. Another provider gets the texts and the calls, under ids and names that
every provider accepts.
"""

from collections.abc import Iterable, Mapping

from pydantic_ai.messages import (
    ModelResponse,
    ModelResponsePart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
)

from runyard_service.agents.models.base import AssistantMessage, Text, Thinking, ToolCall
from runyard_service.agents.models.providers.call_names import CallIds, safe_name

# The key of a message's own fields in the details of pydantic-ai's message.
MESSAGE_FIELDS = "message_fields"
# The key of an output item's id in the details of a text or a call.
ITEM_ID = "item_id"

# They reject reasoning without their signature, or, OpenAI, look it up in what they did not store.
_SIGNED_REASONING = frozenset({"anthropic", "bedrock", "openai-responses"})


def to_response(
    message: AssistantMessage, own_provider: str, ids: CallIds, api: str
) -> ModelResponse | None:
    """Return the message as the provider gets it back; None if nothing is left of it.

    `own_provider` is empty if another route wrote the message: then nothing is left of its
    reasoning, which only its provider can verify. OpenAI's chat messages have no order.
    """
    own_parts = (part for part in message.parts if _can_return(part, message, api))
    parts = [part for own in own_parts if (part := _part(own, own_provider, ids)) is not None]
    if not any(isinstance(part, (TextPart, ToolCallPart)) for part in parts):
        return None
    fields = {MESSAGE_FIELDS: message.fields} if own_provider and message.fields else None
    return ModelResponse(
        parts=_merged(parts) if api == "openai-chat" else parts,
        provider_name=own_provider or None,
        provider_details=fields,
    )


def _can_return(part: Text | Thinking | ToolCall, message: AssistantMessage, api: str) -> bool:
    """Return whether the provider accepts this part back: some only accept signed reasoning.

    At OpenAI, the summaries of one item are parts with the same id, and the first is signed.
    """
    if not isinstance(part, Thinking) or api not in _SIGNED_REASONING:
        return True
    return any(
        own.signature or "raw_content" in (own.provider_details or {})
        for own in message.parts
        if isinstance(own, Thinking) and (own is part or (own.id and own.id == part.id))
    )


def _part(
    part: Text | Thinking | ToolCall, own_provider: str, ids: CallIds
) -> ModelResponsePart | None:
    own = part.provider_details if own_provider else None
    match part:
        case Text(content=text):
            if not text.strip() and not own:
                return None
            return TextPart(
                text,
                id=own.get(ITEM_ID) if own else None,
                provider_name=own_provider if own else None,
                provider_details=_as_dict(own),
            )
        case ToolCall():
            return ToolCallPart(
                safe_name(part.name),
                dict(part.input),
                tool_call_id=ids.of(part.id),
                id=own.get(ITEM_ID) if own else None,
                provider_name=own_provider if own else None,
                provider_details=_as_dict(own),
            )
        case Thinking():
            if not own_provider:
                return None
            return ThinkingPart(
                content=part.content,
                id=part.id,
                signature=part.signature,
                provider_name=own_provider,
                provider_details=_as_dict(own),
            )


def _merged(parts: Iterable[ModelResponsePart]) -> list[ModelResponsePart]:
    """Return the parts with one text and one reasoning of each field, without separators."""
    merged: dict[object, ModelResponsePart] = {}
    for part in parts:
        key = id(part) if isinstance(part, ToolCallPart) else (type(part), getattr(part, "id", ""))
        first = merged.setdefault(key, part)
        if isinstance(part, (TextPart, ThinkingPart)) and first is not part:
            assert isinstance(first, (TextPart, ThinkingPart))
            first.content += part.content
    return list(merged.values())


def _as_dict(details: Mapping[str, object] | None) -> dict[str, object] | None:
    return None if details is None else dict(details)
