"""A loopback server that replays recorded responses of providers from files, byte by byte.

A bug report becomes a file in `tests/integration/models/exchanges/`, not a program. Such a file,
`NAME.http`, has the response head, an empty line, and the body as the provider sent it:

    HTTP/1.1 200 OK
    Content-Type: text/event-stream
    Transfer-Encoding: chunked

    data: {"choices": [...]}

With `Transfer-Encoding: chunked` the server adds the chunk framing, with boundaries that the test
chooses; without it, and without `Content-Length`, the body ends with the connection. A body of type
`application/vnd.amazon.eventstream` (Bedrock) is binary. Its file has one line per message instead,
`EVENT {json}`, or `!EXCEPTION {json}`, which the server encodes.
"""

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.servers.bedrock_server import encode_event
from tests.support.servers.loopback import Exchange, LoopbackServer, Received

EXCHANGES = Path(__file__).parents[2] / "integration" / "models" / "exchanges"
_EVENT_STREAM = "application/vnd.amazon.eventstream"


@dataclass(frozen=True)
class RawResponse:
    """The bytes of one response: the head without the empty line, and the body without framing."""

    head: bytes
    body: bytes

    @classmethod
    def parse(cls, content: bytes) -> "RawResponse":
        """Return the response in the content of an exchange file."""
        head, _, body = content.partition(b"\n\n")
        if _EVENT_STREAM.encode() in head:
            body = b"".join(map(_encode_line, body.decode().splitlines()))
        return cls(head.replace(b"\n", b"\r\n"), body)

    @property
    def is_chunked(self) -> bool:
        """Return whether the head announces chunks."""
        return b"transfer-encoding: chunked" in self.head.lower()


def read_response(name: str) -> RawResponse:
    """Return the response of the exchange file `name`, without its extension."""
    return RawResponse.parse((EXCHANGES / f"{name}.http").read_bytes())


def exchange_names() -> list[str]:
    """Return the names of all exchange files, sorted."""
    return sorted(path.stem for path in EXCHANGES.glob("*.http"))


class RawServer(LoopbackServer):
    """Answer each request with the next of `responses`; a name refers to its exchange file.

    Each write to the connection has `chunk_bytes` bytes of the body; None: each event of the body
    (up to an empty line) is one write. `is_cut` closes the connection before the last chunk of each
    response, as a provider does whose server crashes.
    """

    def __init__(
        self,
        *responses: str | RawResponse,
        chunk_bytes: int | None = None,
        is_cut: bool = False,
    ) -> None:
        super().__init__(self._respond)
        self.responses = deque(
            read_response(response) if isinstance(response, str) else response
            for response in responses
        )
        self._chunk_bytes = chunk_bytes
        self._is_cut = is_cut

    @property
    def base_url(self) -> str:
        """The `base_url` of a route to an OpenAI-compatible API."""
        return f"{self.url}/v1"

    def _respond(self, received: Received, exchange: Exchange) -> None:
        if not self.responses:
            exchange.send_json(400, {"error": {"message": "The test has no further response."}})
            return
        response = self.responses.popleft()
        exchange.send_raw(response.head + b"\r\n\r\n")
        for piece in self._pieces(response.body):
            framed = b"%x\r\n%b\r\n" % (len(piece), piece) if response.is_chunked else piece
            exchange.send_raw(framed)
        if response.is_chunked and not self._is_cut:
            exchange.send_raw(b"0\r\n\r\n")
        exchange.cut()

    def _pieces(self, body: bytes) -> Iterator[bytes]:
        if self._chunk_bytes is not None:
            for start in range(0, len(body), self._chunk_bytes):
                yield body[start : start + self._chunk_bytes]
            return
        events = body.split(b"\n\n")
        yield from (event + b"\n\n" for event in events[:-1])
        if events[-1]:
            yield events[-1]


def _encode_line(line: str) -> bytes:
    name, _, payload = line.partition(" ")
    is_exception = name.startswith("!")
    return encode_event(name.removeprefix("!"), json.loads(payload), is_exception=is_exception)
