"""A proxy that loses connections: a stream that passes through it is cut in the middle.

Set before a service, it is what a phone in a tunnel is to a client, which has to come back by
itself and go on where it was.
"""

from collections.abc import Iterator

import httpx

from tests.support.servers.loopback import Exchange, Received

_PASSED_ON = ("accept", "authorization", "last-event-id", "origin", "cache-control")
_AGED = b"\n: maximum connection age reached"


class CuttingProxy:
    """Answers as the service at `base_url` does, but cuts its first streams.

    `cuts` says behind how many events each of them ends, or `in_bytes` behind how many bytes: in
    the middle of a line, of a character. What comes after is left whole.
    """

    def __init__(self, base_url: str, *cuts: int, in_bytes: bool = False) -> None:
        self.cursors: list[str] = []
        """Each connection's `Last-Event-ID`, in order; empty where it had none."""
        self.aged = 0
        """How many connections the service has ended because of their age."""
        self.cuts = list(cuts)
        """The cuts that are still to be made."""
        self._base_url = base_url
        self._in_bytes = in_bytes

    def __call__(self, request: Received, exchange: Exchange) -> None:
        """Pass a GET on, and its answer back."""
        self.cursors.append(request.headers.get("last-event-id", ""))
        headers = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
        url = self._base_url + request.path
        with httpx.stream("GET", url, headers=headers, timeout=30) as answer:
            told = {
                name: value
                for name, value in answer.headers.items()
                if name.startswith("access-control-") or name == "cache-control"
            }
            if answer.status_code != 200:
                exchange.send(answer.status_code, answer.read(), told)
                return
            exchange.start(answer.headers["content-type"], told)
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
        """What of a cut a piece takes up: its bytes, or the end of an event."""
        return len(piece) if self._in_bytes else piece == b"\n"
