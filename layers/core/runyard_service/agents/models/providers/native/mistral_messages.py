"""The conversation as Mistral's `messages`."""

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic_ai.messages import (
    BinaryContent,
    DocumentUrl,
    ImageUrl,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
)

# Mistral rejects a user's message after a tool's.
_BETWEEN = {"role": "assistant", "content": "OK"}


def to_mistral_messages(messages: Sequence[ModelMessage]) -> list[dict[str, Any]]:
    """Return the conversation, without the instructions."""
    sent: list[dict[str, Any]] = []
    for message in messages:
        if isinstance(message, ModelResponse):
            sent.append(_assistant(message))
            continue
        for own in _of_request(message):
            if sent and sent[-1]["role"] == "tool" and own["role"] == "user":
                sent.append(_BETWEEN)
            sent.append(own)
    return sent


def _of_request(message: ModelRequest) -> Iterator[dict[str, Any]]:
    for part in message.parts:
        if isinstance(part, ToolReturnPart):
            yield {
                "role": "tool",
                "tool_call_id": part.tool_call_id,
                "name": part.tool_name,
                "content": part.model_response_str(),
            }
        elif isinstance(part, UserPromptPart):
            yield {"role": "user", "content": _user_content(part)}


def _user_content(part: UserPromptPart) -> str | list[dict[str, Any]]:
    if isinstance(part.content, str):
        return part.content
    return [_chunk(item) for item in part.content]


def _chunk(item: UserContent) -> dict[str, Any]:
    match item:
        case ImageUrl():
            return {"type": "image_url", "image_url": item.url}
        case DocumentUrl():
            return {"type": "document_url", "document_url": item.url}
        case BinaryContent():
            name = "image_url" if item.is_image else "document_url"
            return {"type": name, name: item.data_uri}
        case _:
            return _text(str(item))


def _assistant(message: ModelResponse) -> dict[str, Any]:
    """Return a response: a text alone as a string, texts and reasoning as chunks in their order."""
    chunks, calls = [], []
    for part in message.parts:
        if isinstance(part, ThinkingPart):
            chunks.append(_thinking(part))
        elif isinstance(part, TextPart):
            chunks.append(_text(part.content))
        elif isinstance(part, ToolCallPart):
            calls.append(_call(part))
    is_text = all(chunk["type"] == "text" for chunk in chunks)
    content = "".join(chunk["text"] for chunk in chunks) if is_text else chunks
    sent: dict[str, Any] = {"role": "assistant", "content": content}
    return {**sent, "tool_calls": calls} if calls else sent


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _thinking(part: ThinkingPart) -> dict[str, Any]:
    chunk = {"type": "thinking", "thinking": [_text(part.content)]}
    return {**chunk, "signature": part.signature} if part.signature else chunk


def _call(part: ToolCallPart) -> dict[str, Any]:
    function = {"name": part.tool_name, "arguments": part.args_as_json_str()}
    return {"id": part.tool_call_id, "type": "function", "function": function}
