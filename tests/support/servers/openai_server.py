"""A loopback server that speaks OpenAI's streamed chat completions, and fails as it is told to."""

import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.support.servers.loopback import Exchange, LoopbackServer, Received


@dataclass(frozen=True)
class ChatToolCall:
    """A tool call; `arguments` are the pieces in which its JSON text is streamed."""

    name: str
    arguments: Sequence[str] = ("{}",)
    id: str = "call_1"


@dataclass(frozen=True)
class ChatUsage:
    """Tokens of the reply, sent in a last chunk of their own where the request asks for them."""

    prompt: int = 10
    completion: int = 5
    cached: int = 0


@dataclass(frozen=True)
class ChatResponse:
    """One streamed reply.

    `cut_after` closes the connection after that many chunks; `finish_reason=""` ends the stream
    properly but without a reason; `pause` is the seconds before each chunk.
    """

    text: Sequence[str] = ()
    reasoning: Sequence[str] = ()
    tool_calls: Sequence[ChatToolCall] = ()
    finish_reason: str | None = None
    usage: ChatUsage | None = field(default_factory=ChatUsage)
    cut_after: int | None = None
    pause: float = 0.0
    model: str | None = None


@dataclass(frozen=True)
class ChatFailure:
    """An HTTP error instead of a reply."""

    status: int
    code: str | None = None
    message: str = "The provider's own words."
    retry_after: str | None = None


Scripted = ChatResponse | ChatFailure


class OpenAIServer(LoopbackServer):
    """Answers each request with the next of `replies`, or with what `answer` makes of it."""

    def __init__(
        self, *replies: Scripted, answer: Callable[[Received], Scripted] | None = None
    ) -> None:
        super().__init__(self._respond)
        self.replies: deque[Scripted] = deque(replies)
        self._choose = answer or self._next

    @property
    def base_url(self) -> str:
        """What a route's `base_url` must be."""
        return f"{self.url}/v1"

    def _next(self, received: Received) -> Scripted:
        if not self.replies:
            return ChatFailure(500, message="There is no reply left.")
        return self.replies.popleft()

    def _respond(self, received: Received, exchange: Exchange) -> None:
        if received.path != "/v1/chat/completions":
            exchange.send_json(404, {"error": {"message": "no such path"}})
            return
        scripted = self._choose(received)
        if isinstance(scripted, ChatFailure):
            headers = {"retry-after": scripted.retry_after} if scripted.retry_after else {}
            error = {"message": scripted.message, "code": scripted.code, "type": None}
            exchange.send_json(scripted.status, {"error": error}, headers)
            return
        _stream(scripted, received, exchange)


def _stream(reply: ChatResponse, received: Received, exchange: Exchange) -> None:
    exchange.start("text/event-stream")
    for count, chunk in enumerate(_chunks(reply, received.json)):
        if count == reply.cut_after:
            exchange.cut()
            return
        time.sleep(reply.pause)
        exchange.piece(b"data: " + json.dumps(chunk).encode() + b"\n\n")
    exchange.piece(b"data: [DONE]\n\n")
    exchange.end()


def _chunks(reply: ChatResponse, request: Any) -> Iterator[dict[str, Any]]:
    head = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_767_225_600,
        "model": reply.model or request["model"],
    }
    for delta in _deltas(reply):
        yield {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    reason = reply.finish_reason
    if reason is None:
        reason = "tool_calls" if reply.tool_calls else "stop"
    if reason:
        yield {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}
    if reply.usage and (request.get("stream_options") or {}).get("include_usage"):
        yield {**head, "choices": [], "usage": _usage(reply.usage)}


def _deltas(reply: ChatResponse) -> Iterator[dict[str, Any]]:
    yield {"role": "assistant", "content": ""}
    for piece in reply.reasoning:
        yield {"reasoning_content": piece}
    for piece in reply.text:
        yield {"content": piece}
    for index, call in enumerate(reply.tool_calls):
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
