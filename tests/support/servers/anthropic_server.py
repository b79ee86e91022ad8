"""A loopback server that speaks Anthropic's streamed messages: Server-Sent Events by name."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.servers.loopback import Exchange, Received
from tests.support.servers.model_server import PROVIDER_MESSAGE, ModelServer, ProviderFailure


@dataclass(frozen=True)
class Message:
    """A streamed response; `tool_uses` are (id, name, JSON text). `error` is the last event.

    `input_tokens` is without the cached ones and those that are written to the cache, as Anthropic
    counts; `written_tokens` are for five minutes and for one hour. `cut` closes the connection
    after the content.
    """

    thinking: Sequence[str] = ()
    signature: str = "signed"
    text: Sequence[str] = ()
    tool_uses: Sequence[tuple[str, str, str]] = ()
    stop_reason: str | None = None
    input_tokens: int = 10
    cached_tokens: int = 0
    written_tokens: tuple[int, int] = (0, 0)
    output_tokens: int = 5
    error: str | None = None
    cut: bool = False


class AnthropicServer(ModelServer[Message]):
    """Speak Anthropic's streamed messages."""

    path_end = "/v1/messages"

    def error_body(self, failure: ProviderFailure) -> object:
        """Return the error as Anthropic formats it."""
        return _error(failure.code, failure.message)

    def stream(self, response: Message, received: Received, exchange: Exchange) -> None:
        """Send the events of the response."""
        exchange.start("text/event-stream")
        for event in _events(response, received.json["model"]):
            exchange.piece(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
        if response.cut:
            exchange.cut()
        else:
            exchange.end()


def _error(kind: str | None, message: str = PROVIDER_MESSAGE) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}}


def _events(message: Message, model: str) -> Iterator[dict[str, Any]]:
    usage = {
        "input_tokens": message.input_tokens,
        "cache_read_input_tokens": message.cached_tokens,
        "cache_creation_input_tokens": sum(message.written_tokens),
        "cache_creation": {
            "ephemeral_5m_input_tokens": message.written_tokens[0],
            "ephemeral_1h_input_tokens": message.written_tokens[1],
        },
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
