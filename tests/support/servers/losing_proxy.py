"""A proxy that loses the first answer to every request, as a network does that breaks late."""

from collections import Counter

import httpx

from tests.support.servers.loopback import Exchange, Received

_HOP_BY_HOP = frozenset({"host", "connection", "content-length", "transfer-encoding"})


class LosingProxy:
    """Forward every request to the service at `base_url`, and lose the first answer to each.

    Requests are the same if they have the same method, path and Idempotency-Key.
    """

    def __init__(self, base_url: str) -> None:
        self.lost: Counter[str] = Counter()
        """The number of lost answers by method."""
        self._base_url = base_url
        self._seen: set[tuple[str, str, str]] = set()

    def __call__(self, request: Received, exchange: Exchange) -> None:
        """Forward the request; answer it, or close the connection."""
        headers = {name: text for name, text in request.headers.items() if name not in _HOP_BY_HOP}
        url = self._base_url + request.path
        with httpx.stream(
            request.method, url, headers=headers, content=request.body, timeout=60
        ) as answer:
            body = answer.read()
        name = (request.method, request.path, request.headers.get("idempotency-key", ""))
        if name not in self._seen:
            self._seen.add(name)
            self.lost[request.method] += 1
            exchange.cut()
            return
        headers_back = {
            name: text
            for name, text in answer.headers.items()
            if name not in _HOP_BY_HOP | {"content-encoding"}
        }
        exchange.send(answer.status_code, body, headers_back)
