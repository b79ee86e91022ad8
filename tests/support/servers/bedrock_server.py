"""A loopback server that speaks Bedrock's ConverseStream: AWS's binary event stream over HTTP."""

import json
import struct
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from tests.support.servers.loopback import Exchange, LoopbackServer, Received

# Header value type 7 of the event stream encoding: a string with a length of two bytes.
STRING = 7


@dataclass(frozen=True)
class ConverseToolUse:
    """A tool call; `input` are the pieces in which its JSON text is streamed."""

    name: str
    input: Sequence[str] = ("{}",)
    id: str = "tooluse_1"


@dataclass(frozen=True)
class ConverseUsage:
    """Tokens as Bedrock counts them: `input` without the cached ones."""

    input: int = 10
    output: int = 5
    cache_read: int = 0


@dataclass(frozen=True)
class ConverseResponse:
    """One streamed reply.

    `exception` ends the stream with that exception after the content; `cut` closes the connection
    there; `stop_reason=""` ends the stream properly but without a reason.
    """

    text: Sequence[str] = ()
    reasoning: Sequence[str] = ()
    signature: str | None = None
    tool_uses: Sequence[ConverseToolUse] = ()
    stop_reason: str | None = None
    usage: ConverseUsage = field(default_factory=ConverseUsage)
    exception: str | None = None
    cut: bool = False
    pause: float = 0.0


@dataclass(frozen=True)
class ConverseFailure:
    """An exception before the stream begins."""

    status: int
    code: str
    message: str = "The provider's own words."
    retry_after: str | None = None


class BedrockServer(LoopbackServer):
    """Answers each request with the next of `replies`."""

    def __init__(self, *replies: ConverseResponse | ConverseFailure) -> None:
        super().__init__(self._respond)
        self.replies: deque[ConverseResponse | ConverseFailure] = deque(replies)

    def _respond(self, received: Received, exchange: Exchange) -> None:
        if not received.path.endswith("/converse-stream"):
            exchange.send_json(404, {"message": "no such path"})
            return
        scripted = self.replies.popleft()
        if isinstance(scripted, ConverseFailure):
            headers = {"x-amzn-ErrorType": scripted.code}
            if scripted.retry_after:
                headers["retry-after"] = scripted.retry_after
            exchange.send_json(scripted.status, {"message": scripted.message}, headers)
            return
        exchange.start("application/vnd.amazon.eventstream")
        for name, payload in _events(scripted):
            time.sleep(scripted.pause)
            exchange.piece(encode_event(name, payload))
        if scripted.cut:
            exchange.cut()
            return
        if scripted.exception:
            message = {"message": "The provider's own words."}
            exchange.piece(encode_event(scripted.exception, message, is_exception=True))
        exchange.end()


def encode_event(name: str, payload: object, is_exception: bool = False) -> bytes:
    """One message of the stream: prelude and its CRC, headers, payload, CRC of all of it."""
    kind = "exception" if is_exception else "event"
    headers = b"".join(
        _header(key, value)
        for key, value in (
            (f":{kind}-type", name),
            (":content-type", "application/json"),
            (":message-type", kind),
        )
    )
    body = json.dumps(payload).encode()
    prelude = struct.pack("!II", len(headers) + len(body) + 16, len(headers))
    message = prelude + struct.pack("!I", crc32(prelude)) + headers + body
    return message + struct.pack("!I", crc32(message))


def _header(name: str, value: str) -> bytes:
    key, text = name.encode(), value.encode()
    return struct.pack("!B", len(key)) + key + struct.pack("!BH", STRING, len(text)) + text


def _events(reply: ConverseResponse) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "messageStart", {"role": "assistant"}
    for index, block in enumerate(_blocks(reply)):
        for name, payload in block:
            yield name, {"contentBlockIndex": index, **payload}
        yield "contentBlockStop", {"contentBlockIndex": index}
    if reply.cut or reply.exception:
        return
    reason = reply.stop_reason
    if reason is None:
        reason = "tool_use" if reply.tool_uses else "end_turn"
    if reason:
        yield "messageStop", {"stopReason": reason}
    yield "metadata", {"usage": _usage(reply.usage), "metrics": {"latencyMs": 1}}


def _blocks(reply: ConverseResponse) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    if reply.reasoning or reply.signature:
        pieces: list[dict[str, Any]] = [{"text": text} for text in reply.reasoning]
        if reply.signature:
            pieces.append({"signature": reply.signature})
        yield [("contentBlockDelta", {"delta": {"reasoningContent": piece}}) for piece in pieces]
    if reply.text:
        yield [("contentBlockDelta", {"delta": {"text": text}}) for text in reply.text]
    for use in reply.tool_uses:
        start = {"start": {"toolUse": {"toolUseId": use.id, "name": use.name}}}
        deltas = [
            ("contentBlockDelta", {"delta": {"toolUse": {"input": piece}}}) for piece in use.input
        ]
        yield [("contentBlockStart", start), *deltas]


def _usage(usage: ConverseUsage) -> dict[str, Any]:
    return {
        "inputTokens": usage.input,
        "outputTokens": usage.output,
        "totalTokens": usage.input + usage.output + usage.cache_read,
        "cacheReadInputTokens": usage.cache_read,
        "cacheWriteInputTokens": 0,
    }
