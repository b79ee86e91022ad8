"""A proxy that loses connections: a stream that passes through it is cut in the middle.

Set before a service, it is what a phone in a tunnel is to a client, which has to come back by
itself and go on where it was.
"""

import httpx

from tests.servers.loopback import Exchange, Received

_PASSED_ON = ("accept", "authorization", "last-event-id", "origin", "cache-control")


class CuttingProxy:
    """Answers as the service at `base_url` does, but cuts its first streams.

    `cuts` says behind how many events each of them ends; what comes after is left whole.
    """

    def __init__(self, base_url: str, *cuts: int) -> None:
        self.cursors: list[str] = []
        """Each connection's `Last-Event-ID`, in order; empty where it had none."""
        self._base_url = base_url
        self._cuts = list(cuts)

    def __call__(self, request: Received, exchange: Exchange) -> None:
        """Pass a GET on, and its answer back."""
        self.cursors.append(request.headers.get("last-event-id", ""))
        left = self._cuts.pop(0) if self._cuts else None
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
            for line in answer.iter_lines():
                exchange.piece(f"{line}\n".encode())
                if not line and left is not None:
                    left -= 1
                    if left == 0:
                        exchange.cut()
                        return
            exchange.end()
