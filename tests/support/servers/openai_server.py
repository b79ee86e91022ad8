"""A loopback server that speaks OpenAI's streamed chat completions, with scripted failures."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.support.servers.loopback import Exchange, Received
from tests.support.servers.model_server import ModelServer, ProviderFailure


@dataclass(frozen=True)
class ChatToolCall:
    """A tool call; the server streams its JSON text in the pieces `arguments`."""

    name: str
    arguments: Sequence[str] = ("{}",)
    id: str = "call_1"


@dataclass(frozen=True)
class ChatUsage:
    """Tokens of the response, sent in a separate last chunk if the request asks for them."""

    prompt: int = 10
    completion: int = 5
    cached: int = 0


@dataclass(frozen=True)
class ChatResponse:
    """A streamed response.

    `cut_after` closes the connection after that number of chunks. `finish_reason=""` ends the
    stream properly but without a reason. `pause` is the seconds before each chunk.
    """

    text: Sequence[str] = ()
    reasoning: Sequence[str] = ()
    tool_calls: Sequence[ChatToolCall] = ()
    finish_reason: str | None = None
    usage: ChatUsage | None = field(default_factory=ChatUsage)
    cut_after: int | None = None
    pause: float = 0.0
    model: str | None = None


class OpenAIServer(ModelServer[ChatResponse]):
    """Speak OpenAI's streamed chat completions."""

    path_end = "/v1/chat/completions"

    @property
    def base_url(self) -> str:
        """Return the `base_url` of a route to this server."""
        return f"{self.url}/v1"

    def error_body(self, failure: ProviderFailure) -> object:
        """Return the error as OpenAI formats it."""
        return {"error": {"message": failure.message, "code": failure.code, "type": None}}

    def stream(self, response: ChatResponse, received: Received, exchange: Exchange) -> None:
        """Send the chunks of the response."""
        exchange.start("text/event-stream")
        for count, chunk in enumerate(_chunks(response, received.json)):
            if count == response.cut_after:
                exchange.cut()
                return
            time.sleep(response.pause)
            exchange.piece(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        exchange.piece(b"data: [DONE]\n\n")
        exchange.end()


def _chunks(response: ChatResponse, request: Any) -> Iterator[dict[str, Any]]:
    head = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_767_225_600,
        "model": response.model or request["model"],
    }
    for delta in _deltas(response):
        yield {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    reason = response.finish_reason
    if reason is None:
        reason = "tool_calls" if response.tool_calls else "stop"
    if reason:
        yield {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}
    if response.usage and (request.get("stream_options") or {}).get("include_usage"):
        yield {**head, "choices": [], "usage": _usage(response.usage)}


def _deltas(response: ChatResponse) -> Iterator[dict[str, Any]]:
    yield {"role": "assistant", "content": ""}
    for piece in response.reasoning:
        yield {"reasoning_content": piece}
    for piece in response.text:
        yield {"content": piece}
    for index, call in enumerate(response.tool_calls):
        function = {"name": call.name, "arguments": ""}
        yield {
            "tool_calls": [
                {"index": index, "id": call.id, "type": "function", "function": function}
            ]
        }
        for piece in call.arguments:
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def _usage(usage: ChatUsage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.prompt + usage.completion,
        "prompt_tokens_details": {"cached_tokens": usage.cached},
    }
