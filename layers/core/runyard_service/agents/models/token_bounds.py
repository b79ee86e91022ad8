"""The most tokens that a provider can count for a request, known before it is sent.

The provider counts the messages up to the newest response as before. For newer messages, a token
is at least one byte of UTF-8. So the bound of a run's first request is loose, and the later bounds
are close.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from runyard_service.agents.models.attachments import contents_of
from runyard_service.agents.models.base import (
    AssistantMessage,
    ChatMessage,
    MessagePart,
    ModelRequest,
    Text,
    Thinking,
    TokenUsage,
    ToolOutcome,
    ToolSpec,
    UserMessage,
)

# Of a response whose agent sets no `max_output_tokens`; sent to the provider as the limit.
DEFAULT_OUTPUT_TOKENS = 4096

# A low estimate: English text has about four bytes in a token, other text fewer.
_LIKELY_BYTES_PER_TOKEN = 3

# What providers add to a request: words about how tools are called (Anthropic: 346 tokens), the
# frame of each message or tool (below ten tokens).
REQUEST_FRAME_TOKENS = 1024
PART_FRAME_TOKENS = 16

# An image: Anthropic's largest count is 4,784, OpenAI's 1,445 (of its small models a multiple). A
# PDF, as text and images of up to 100 pages: what fits a window, more would be rejected.
IMAGE_TOKENS = 6_000
PDF_TOKENS = 200_000


def max_usage(request: ModelRequest) -> TokenUsage:
    """The tokens of the request, and those of the longest response that it allows."""
    counted, new_bytes = _input(request)
    return TokenUsage(counted + new_bytes, request.max_output_tokens or DEFAULT_OUTPUT_TOKENS)


def likely_input_tokens(request: ModelRequest) -> int:
    """Return an estimate of the input tokens of the request."""
    counted, new_bytes = _input(request)
    return counted + new_bytes // _LIKELY_BYTES_PER_TOKEN


def likely_tokens(messages: Iterable[ChatMessage]) -> int:
    """Return an estimate of the tokens of the messages."""
    return _of_messages(messages) // _LIKELY_BYTES_PER_TOKEN


def likely_bytes(tokens: int) -> int:
    """Return the bytes of a text that likely has `tokens` tokens."""
    return tokens * _LIKELY_BYTES_PER_TOKEN


def _input(request: ModelRequest) -> tuple[int, int]:
    """Return the tokens that the provider has counted, and the bound of what it has not."""
    known = request.last_usage
    positions = [
        n for n, message in enumerate(request.messages) if isinstance(message, AssistantMessage)
    ]
    if known is None or not positions:
        return 0, _whole(request)
    new = request.messages[positions[-1] + 1 :]
    return known.input_tokens + known.output_tokens, _of_messages(new)


def _whole(request: ModelRequest) -> int:
    tools = [*request.tools, *([request.output_tool] if request.output_tool else [])]
    return (
        REQUEST_FRAME_TOKENS
        + _bytes(request.instructions)
        + sum(map(_of_tool, tools))
        + _of_messages(request.thread_messages)
        + _of_messages(request.messages)
    )


def _of_tool(tool: ToolSpec) -> int:
    schema = json.dumps(dict(tool.parameters))
    return PART_FRAME_TOKENS + _bytes(tool.name) + _bytes(tool.description) + _bytes(schema)


def _of_messages(messages: Iterable[ChatMessage]) -> int:
    return sum(PART_FRAME_TOKENS + _of_message(message) for message in messages)


def _of_message(message: ChatMessage) -> int:
    match message:
        case UserMessage():
            return sum(
                _bytes(piece) if isinstance(piece, str) else _of_binary(piece.mime_type)
                for piece in contents_of(message)
            )
        case AssistantMessage():
            return sum(map(_of_part, message.parts)) + _of_data(message.fields)
        case ToolOutcome():
            return _bytes(message.tool_name) + _bytes(message.content)


def _of_part(part: MessagePart) -> int:
    match part:
        case Text():
            return _bytes(part.content) + _of_data(part.provider_details)
        case Thinking():
            # A signature represents reasoning that the provider may count in full.
            own = _bytes(part.signature or "") + _of_data(part.provider_details)
            return _bytes(part.content) + own
        case _:
            arguments = _bytes(json.dumps(dict(part.input)))
            own = _of_data(part.provider_details)
            return PART_FRAME_TOKENS + _bytes(part.name) + arguments + own


def _of_data(data: Mapping[str, Any] | None) -> int:
    return len(json.dumps(data)) if data else 0


def _of_binary(mime_type: str) -> int:
    return IMAGE_TOKENS if mime_type.startswith("image/") else PDF_TOKENS


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "replace"))
