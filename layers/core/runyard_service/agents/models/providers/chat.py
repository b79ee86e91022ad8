"""Chat completions of OpenAI-compatible servers, with the message fields that they want back.

pydantic-ai reads the text, the calls and a text of reasoning. Some servers need more of the message
in the next request, in the field where they sent it: OpenRouter's `reasoning_details`, Gemini's
`extra_content`, LiteLLM's `thinking_blocks`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from openai.types import chat
from openai.types.chat import chat_completion_chunk
from pydantic_ai.messages import ModelResponse, ModelResponseStreamEvent
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIStreamedResponse

from runyard_service.agents.models.providers.returned_responses import MESSAGE_FIELDS

# Other fields are not sent back: some servers reject fields that they do not know.
_SENT_BACK = frozenset(
    {
        "extra_content",
        "provider_specific_fields",
        "reasoning_details",
        "reasoning_opaque",
        "reasoning_signature",
        "thinking_blocks",
    }
)
# In lists, these fields of an item arrive in pieces.
_IN_PIECES = frozenset({"text", "summary", "data", "thinking"})


@dataclass
class ChatStream(OpenAIStreamedResponse):
    """A streamed response that also has the fields to send back, in its `provider_details`."""

    _message_fields: dict[str, Any] = field(default_factory=dict, init=False)

    def _map_part_delta(
        self, choice: chat_completion_chunk.Choice
    ) -> Iterable[ModelResponseStreamEvent]:
        for name, value in (choice.delta.model_extra or {}).items():
            if name in _SENT_BACK and value:
                self._message_fields[name] = _joined(self._message_fields.get(name), value)
                self.provider_details = {
                    **(self.provider_details or {}),
                    MESSAGE_FIELDS: self._message_fields,
                }
        return super()._map_part_delta(choice)


class ChatModel(OpenAIChatModel):
    """A chat model that sends back the fields which its server wants back."""

    @property
    def _streamed_response_cls(self) -> type[OpenAIStreamedResponse]:
        return ChatStream

    def _map_model_response(self, message: ModelResponse) -> chat.ChatCompletionMessageParam | None:
        mapped = super()._map_model_response(message)
        fields = (message.provider_details or {}).get(MESSAGE_FIELDS)
        if mapped is None or not fields:
            return mapped
        sent: Any = {**mapped, **fields}
        return sent  # type: ignore[no-any-return]


def _joined(before: Any, value: Any) -> Any:
    """Return a field whose next piece is `value`: lists and objects grow, other values change."""
    if isinstance(before, dict) and isinstance(value, dict):
        return before | {name: _joined(before.get(name), own) for name, own in value.items()}
    if isinstance(before, list) and isinstance(value, list):
        joined = list(before)
        for item in value:
            if joined and _continues(joined[-1], item):
                joined[-1] = _joined_item(joined[-1], item)
            else:
                joined.append(item)
        return joined
    return value


def _continues(last: Any, item: Any) -> bool:
    """Return whether an item of a list is the next piece of the last item.

    LiteLLM's blocks have no index: a signature ends each of them.
    """
    if not isinstance(last, dict) or not isinstance(item, dict):
        return False
    is_same_block = item.get("index") is not None or (
        item.get("type") == "thinking" and not last.get("signature")
    )
    return is_same_block and _position(last) == _position(item)


def _position(item: dict[str, Any]) -> tuple[Any, Any]:
    return item.get("index"), item.get("type")


def _joined_item(last: dict[str, Any], piece: dict[str, Any]) -> dict[str, Any]:
    joined = dict(last)
    for name, value in piece.items():
        if name in _IN_PIECES and isinstance(value, str):
            joined[name] = (joined.get(name) or "") + value
        elif value is not None:
            joined[name] = value
    return joined
