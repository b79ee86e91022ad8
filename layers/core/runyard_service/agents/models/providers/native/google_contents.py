"""The conversation as Gemini's `contents`."""

import base64
from collections.abc import Sequence
from typing import Any

from pydantic_ai.messages import (
    BinaryContent,
    DocumentUrl,
    ImageUrl,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ModelResponsePart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)

# The key of a signature in the details of a part.
SIGNATURE = "thought_signature"

# Gemini 3 rejects a turn whose first call is not signed. This value, in base64, is documented for
# calls of another model.
_NO_SIGNATURE = base64.b64encode(b"skip_thought_signature_validator").decode()


def to_contents(messages: Sequence[ModelMessage]) -> list[dict[str, Any]]:
    """Return the conversation. It starts with a user's message, which Gemini requires."""
    contents: list[dict[str, Any]] = []
    for message in messages:
        if isinstance(message, ModelResponse):
            contents.append({"role": "model", "parts": _model_parts(message.parts)})
        else:
            contents += _user_contents(message)
    if not contents or contents[0]["role"] == "model":
        contents.insert(0, {"role": "user", "parts": [{"text": ""}]})
    return contents


def _user_contents(message: ModelRequest) -> list[dict[str, Any]]:
    """Return the results and then the texts, apart: Gemini takes a mixture for its own words."""
    results = [_result(part) for part in message.parts if isinstance(part, ToolReturnPart)]
    texts = [
        piece
        for part in message.parts
        if isinstance(part, UserPromptPart)
        for piece in _user_parts(part)
    ]
    return [{"role": "user", "parts": parts} for parts in (results, texts) if parts]


def _result(part: ToolReturnPart) -> dict[str, Any]:
    key = "error" if part.outcome == "failed" else "output"
    response = {key: part.model_response_str(wrap_if_error=False)}
    return {
        "functionResponse": {
            "id": part.tool_call_id,
            "name": part.tool_name,
            "response": response,
        }
    }


def _user_parts(part: UserPromptPart) -> list[dict[str, Any]]:
    if isinstance(part.content, str):
        return [{"text": part.content}]
    return [_user_part(item) for item in part.content]


def _user_part(item: object) -> dict[str, Any]:
    match item:
        case ImageUrl() | DocumentUrl():
            # A data URI; no file has another address.
            data = item.url.partition(";base64,")[2]
            return {"inlineData": {"mimeType": item.media_type, "data": data}}
        case BinaryContent():
            data = base64.b64encode(item.data).decode()
            return {"inlineData": {"mimeType": item.media_type, "data": data}}
        case _:
            return {"text": str(item)}


def _model_parts(parts: Sequence[ModelResponsePart]) -> list[dict[str, Any]]:
    mapped = []
    must_be_signed = True
    for part in parts:
        sent = _model_part(part)
        if signature := (part.provider_details or {}).get(SIGNATURE):
            sent["thoughtSignature"] = signature
        elif isinstance(part, ToolCallPart) and must_be_signed:
            sent["thoughtSignature"] = _NO_SIGNATURE
        must_be_signed = must_be_signed and not isinstance(part, ToolCallPart)
        mapped.append(sent)
    return mapped


def _model_part(part: ModelResponsePart) -> dict[str, Any]:
    match part:
        case ToolCallPart():
            call = {"id": part.tool_call_id, "name": part.tool_name, "args": part.args_as_dict()}
            return {"functionCall": call}
        case ThinkingPart():
            return {"text": part.content, "thought": True}
        case TextPart():
            return {"text": part.content}
        case _:
            raise TypeError(f"no part of a message: {type(part).__name__}")
