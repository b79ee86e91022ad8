"""A loopback server that speaks Anthropic's streamed messages: Server-Sent Events by name."""

import json
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.servers.loopback import Exchange, LoopbackServer, Received


@dataclass(frozen=True)
class Message:
    """One streamed reply; `tool_uses` are (id, name, JSON text). `error` ends the stream with it.

    `input_tokens` is without the cached ones, as Anthropic counts. `cut` closes the connection
    after the content.
    """

    thinking: Sequence[str] = ()
    signature: str = "signed"
    text: Sequence[str] = ()
    tool_uses: Sequence[tuple[str, str, str]] = ()
    stop_reason: str | None = None
    input_tokens: int = 10
    cached_tokens: int = 0
    output_tokens: int = 5
    error: str | None = None
    cut: bool = False


@dataclass(frozen=True)
class MessageFailure:
    """An HTTP error instead of a reply."""

    status: int
    type: str
    retry_after: str | None = None


class AnthropicServer(LoopbackServer):
    """Answers each request with the next of `replies`."""

    def __init__(self, *replies: Message | MessageFailure) -> None:
        super().__init__(self._respond)
        self.replies: deque[Message | MessageFailure] = deque(replies)

    def _respond(self, received: Received, exchange: Exchange) -> None:
        scripted = self.replies.popleft()
        if isinstance(scripted, MessageFailure):
            headers = {"retry-after": scripted.retry_after} if scripted.retry_after else {}
            exchange.send_json(scripted.status, _error(scripted.type), headers)
            return
        exchange.start("text/event-stream")
        for event in _events(scripted, received.json["model"]):
            exchange.piece(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
        if scripted.cut:
            exchange.cut()
        else:
            exchange.end()


def _error(kind: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": "The provider's own words."}}


def _events(message: Message, model: str) -> Iterator[dict[str, Any]]:
    usage = {
        "input_tokens": message.input_tokens,
        "cache_read_input_tokens": message.cached_tokens,
        "cache_creation_input_tokens": 0,
        "output_tokens": 1,
    }
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": []}
    yield {
        "type": "message_start",
        "message": {**head, "stop_reason": None, "stop_sequence": None, "usage": usage},
    }
    for index, (block, deltas) in enumerate(_blocks(message)):
        yield {"type": "content_block_start", "index": index, "content_block": block}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    if message.cut:
        return
    if message.error:
        yield _error(message.error)
        return
    reason = message.stop_reason or ("tool_use" if message.tool_uses else "end_turn")
    yield {
        "type": "message_delta",
        "delta": {"stop_reason": reason, "stop_sequence": None},
        "usage": {**usage, "output_tokens": message.output_tokens},
    }
    yield {"type": "message_stop"}


def _blocks(message: Message) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    if message.thinking:
        deltas = [{"type": "thinking_delta", "thinking": text} for text in message.thinking]
        signature = {"type": "signature_delta", "signature": message.signature}
        yield {"type": "thinking", "thinking": "", "signature": ""}, [*deltas, signature]
    if message.text:
        yield (
            {"type": "text", "text": ""},
            [{"type": "text_delta", "text": text} for text in message.text],
        )
    for identifier, name, arguments in message.tool_uses:
        yield (
            {"type": "tool_use", "id": identifier, "name": name, "input": {}},
            [{"type": "input_json_delta", "partial_json": arguments}],
        )
