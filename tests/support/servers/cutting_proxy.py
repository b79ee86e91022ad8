"""A proxy that closes connections in the middle of a stream, like a mobile network.

A client must reconnect by itself and continue at its last event.
"""

from collections.abc import Iterator

import httpx

from tests.support.servers.loopback import Exchange, Received

_FORWARDED = ("accept", "authorization", "last-event-id", "origin", "cache-control")
_AGED = b"\n: maximum connection age reached"


class CuttingProxy:
    """Forward requests to the service at `base_url`, but cut its first streams.

    `cuts` has the number of events after which each of these streams ends. With `in_bytes` it is a
    number of bytes, which can end in the middle of a line or character. Later streams are whole.
    """

    def __init__(self, base_url: str, *cuts: int, in_bytes: bool = False) -> None:
        self.cursors: list[str] = []
        """The `Last-Event-ID` of each connection, in order; empty if it has none."""
        self.aged = 0
        """The number of connections that the service has ended because of their age."""
        self.cuts = list(cuts)
        """The remaining cuts."""
        self._base_url = base_url
        self._in_bytes = in_bytes

    def __call__(self, request: Received, exchange: Exchange) -> None:
        """Forward a GET and its response, and the preflight of a page."""
        if request.method == "OPTIONS":
            answer = httpx.options(self._base_url + request.path, headers=request.headers)
            exchange.send(answer.status_code, headers=_cors_headers(answer))
            return
        self.cursors.append(request.headers.get("last-event-id", ""))
        headers = {name: request.headers[name] for name in _FORWARDED if name in request.headers}
        url = self._base_url + request.path
        with httpx.stream("GET", url, headers=headers, timeout=30) as answer:
            headers_back = _cors_headers(answer)
            if answer.status_code != 200:
                exchange.send(answer.status_code, answer.read(), headers_back)
                return
            exchange.start(answer.headers["content-type"], headers_back)
            left = self.cuts[0] if self.cuts else None
            last = b""
            for piece in self._pieces(answer):
                if left is not None and (left := left - self._size(piece)) <= 0:
                    exchange.piece(piece[: len(piece) + left] if self._in_bytes else piece)
                    self.cuts.pop(0)
                    exchange.cut()
                    return
                exchange.piece(piece)
                last = (last + piece)[-200:]
            self.aged += _AGED in last
            exchange.end()

    def _pieces(self, answer: httpx.Response) -> Iterator[bytes]:
        if self._in_bytes:
            yield from answer.iter_bytes()
        else:
            yield from (f"{line}\n".encode() for line in answer.iter_lines())

    def _size(self, piece: bytes) -> int:
        """Return the share of a cut: the number of bytes, or 1 at the end of an event."""
        return len(piece) if self._in_bytes else piece == b"\n"


def _cors_headers(answer: httpx.Response) -> dict[str, str]:
    """Return the headers that a page needs."""
    return {
        name: value
        for name, value in answer.headers.items()
        if name.startswith("access-control-") or name == "cache-control"
    }
