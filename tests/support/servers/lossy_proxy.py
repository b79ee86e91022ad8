"""A proxy that loses the first response to each request: the service has processed it.

It passes streams on: other proxies cut them.
"""

import threading

import httpx

from tests.support.servers.loopback import Exchange, Received

_NOT_FORWARDED = ("host", "connection", "transfer-encoding", "content-length")


class LossyProxy:
    """Forward each request to the service at `base_url`; lose the first response to each one.

    A request and its retries have the same method, path, body and `Idempotency-Key`.
    """

    def __init__(self, base_url: str) -> None:
        self.lost = 0
        """The number of lost responses."""
        self._base_url = base_url
        self._seen: set[tuple[str, str, bytes, str]] = set()
        self._lock = threading.Lock()

    def __call__(self, request: Received, exchange: Exchange) -> None:
        """Forward a request; send its response, or close the connection."""
        headers = {n: v for n, v in request.headers.items() if n not in _NOT_FORWARDED}
        url = self._base_url + request.path
        if request.path.partition("?")[0].endswith("/stream"):
            with httpx.stream("GET", url, headers=headers, timeout=60) as stream:
                exchange.start(stream.headers["content-type"])
                for piece in stream.iter_bytes():
                    exchange.piece(piece)
                exchange.end()
            return
        answer = httpx.request(
            request.method,
            url,
            headers=headers,
            content=request.body,
            timeout=60,
        )
        key = request.headers.get("idempotency-key", "")
        with self._lock:
            identity = (request.method, request.path, request.body, key)
            is_first = identity not in self._seen
            self._seen.add(identity)
            self.lost += is_first
        if is_first:
            exchange.cut()
            return
        sent = {n: v for n, v in answer.headers.items() if n not in _NOT_FORWARDED}
        exchange.send(answer.status_code, answer.content, sent)
