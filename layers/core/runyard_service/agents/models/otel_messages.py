"""A request and its response as OpenTelemetry's GenAI conventions show messages: all content."""

import json
from collections.abc import Iterable
from typing import Any

from runyard_service.agents.models.base import (
    AssistantMessage,
    ChatMessage,
    ModelRequest,
    Text,
    Thinking,
    ToolCall,
    ToolOutcome,
    UserMessage,
)


def input_messages(request: ModelRequest) -> str:
    """`gen_ai.input.messages`: what was said before, and in the run. Files by name alone."""
    return json.dumps(
        [_message(message) for message in (*request.thread_messages, *request.messages)]
    )


def output_messages(message: AssistantMessage, finish_reason: str) -> str:
    """`gen_ai.output.messages`: the response."""
    return json.dumps([{**_message(message), "finish_reason": finish_reason}])


def system_instructions(request: ModelRequest) -> str:
    """`gen_ai.system_instructions`."""
    return json.dumps([_text(request.instructions)])


def _message(message: ChatMessage) -> dict[str, Any]:
    match message:
        case UserMessage():
            files = [_text(f"[{file.name}, {file.mime_type}]") for file in message.attachments]
            return {"role": "user", "parts": [_text(message.content), *files]}
        case ToolOutcome():
            part = {
                "type": "tool_call_response",
                "id": message.tool_call_id,
                "response": message.content,
            }
            return {"role": "tool", "parts": [part]}
        case AssistantMessage():
            return {"role": "assistant", "parts": list(_parts(message))}


def _parts(message: AssistantMessage) -> Iterable[dict[str, Any]]:
    for part in message.parts:
        match part:
            case Thinking():
                yield {"type": "reasoning", "content": part.content}
            case Text():
                yield _text(part.content)
            case ToolCall(id=call_id, name=name, input=arguments):
                yield {"type": "tool_call", "id": call_id, "name": name, "arguments": arguments}


def _text(content: str) -> dict[str, str]:
    return {"type": "text", "content": content}
