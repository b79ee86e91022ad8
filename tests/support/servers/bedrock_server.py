"""A loopback server that speaks Bedrock's ConverseStream: AWS's binary event stream over HTTP."""

import json
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from tests.support.servers.loopback import Exchange, Received
from tests.support.servers.model_server import PROVIDER_MESSAGE, ModelServer, ProviderFailure

# Header value type 7 of the event stream encoding: a string with a length of two bytes.
STRING = 7


@dataclass(frozen=True)
class ConverseToolUse:
    """A tool call; the server streams its JSON text in the pieces `input`."""

    name: str
    input: Sequence[str] = ("{}",)
    id: str = "tooluse_1"


@dataclass(frozen=True)
class ConverseUsage:
    """Tokens as Bedrock counts them: `input` without those of the cache.

    `cache_writes` are for five minutes and for one hour.
    """

    input: int = 10
    output: int = 5
    cache_read: int = 0
    cache_writes: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class ConverseResponse:
    """A streamed response.

    `exception` ends the stream with that exception after the content; `cut` closes the connection
    instead; `stop_reason=""` ends the stream properly but without a reason.
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


class BedrockServer(ModelServer[ConverseResponse]):
    """Speak ConverseStream."""

    path_end = "/converse-stream"

    def error_body(self, failure: ProviderFailure) -> object:
        """Return the error as AWS formats it."""
        return {"message": failure.message}

    def error_headers(self, failure: ProviderFailure) -> Mapping[str, str]:
        """Return the header that names the exception."""
        return {"x-amzn-ErrorType": failure.code} if failure.code else {}

    def stream(self, response: ConverseResponse, received: Received, exchange: Exchange) -> None:
        """Send the messages of the response."""
        exchange.start("application/vnd.amazon.eventstream")
        for name, payload in _events(response):
            time.sleep(response.pause)
            exchange.piece(encode_event(name, payload))
        if response.cut:
            exchange.cut()
            return
        if response.exception:
            message = {"message": PROVIDER_MESSAGE}
            exchange.piece(encode_event(response.exception, message, is_exception=True))
        exchange.end()


def encode_event(name: str, payload: object, is_exception: bool = False) -> bytes:
    """Return a message of the stream: prelude and its CRC, headers, payload, CRC of the message."""
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


def _events(response: ConverseResponse) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "messageStart", {"role": "assistant"}
    for index, block in enumerate(_blocks(response)):
        for name, payload in block:
            yield name, {"contentBlockIndex": index, **payload}
        yield "contentBlockStop", {"contentBlockIndex": index}
    if response.cut or response.exception:
        return
    reason = response.stop_reason
    if reason is None:
        reason = "tool_use" if response.tool_uses else "end_turn"
    if reason:
        yield "messageStop", {"stopReason": reason}
    yield "metadata", {"usage": _usage(response.usage), "metrics": {"latencyMs": 1}}


def _blocks(response: ConverseResponse) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    if response.reasoning or response.signature:
        pieces: list[dict[str, Any]] = [{"text": text} for text in response.reasoning]
        if response.signature:
            pieces.append({"signature": response.signature})
        yield [("contentBlockDelta", {"delta": {"reasoningContent": piece}}) for piece in pieces]
    if response.text:
        yield [("contentBlockDelta", {"delta": {"text": text}}) for text in response.text]
    for use in response.tool_uses:
        start = {"start": {"toolUse": {"toolUseId": use.id, "name": use.name}}}
        deltas = [
            ("contentBlockDelta", {"delta": {"toolUse": {"input": piece}}}) for piece in use.input
        ]
        yield [("contentBlockStart", start), *deltas]


def _usage(usage: ConverseUsage) -> dict[str, Any]:
    written = sum(usage.cache_writes)
    return {
        "inputTokens": usage.input,
        "outputTokens": usage.output,
        "totalTokens": usage.input + usage.output + usage.cache_read + written,
        "cacheReadInputTokens": usage.cache_read,
        "cacheWriteInputTokens": written,
        "cacheDetails": [
            {"ttl": ttl, "inputTokens": tokens}
            for ttl, tokens in zip(("5m", "1h"), usage.cache_writes, strict=True)
            if tokens
        ],
    }
