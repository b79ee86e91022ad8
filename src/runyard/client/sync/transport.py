"""Perform the effects of operations with httpx2, and block meanwhile."""

import time
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from runyard.client.configuration import Configuration
from runyard.client.core.bodies import Multipart
from runyard.client.core.effects import (
    Call,
    Close,
    Effect,
    Failure,
    Item,
    Open,
    Request,
    Response,
    Send,
    Sleep,
    Stream,
)
from runyard.client.core.wire import CONNECT_SECONDS, absolute_url, failure_of, wire_headers

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")


class Transport:
    """The connections of one client. Threads can share it."""

    def __init__(self, configuration: Configuration) -> None:
        import httpx2

        self.configuration = configuration
        self.errors = (httpx2.RequestError, httpx2.InvalidURL)
        self._timeout = httpx2.Timeout
        self.http = httpx2.Client(
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=20)
        )

    def run(self, call: Call[T]) -> T:
        """Perform an operation; return its result."""
        with _Performer(self) as performer:
            result: Any = None
            while True:
                try:
                    effect = call.send(result)
                except StopIteration as stop:
                    value: T = stop.value
                    return value
                result = performer.perform(effect)

    def iterate(self, stream: Stream[T]) -> Generator[T]:
        """Perform an operation; yield its items."""
        with _Performer(self) as performer:
            result: Any = None
            while True:
                try:
                    effect = stream.send(result)
                except StopIteration:
                    return
                if isinstance(effect, Item):
                    result = None
                    yield effect.value
                else:
                    result = performer.perform(effect)

    def start(self, request: Request) -> "httpx2.Response":
        """Send the request; return the response when its head has arrived."""
        body = request.body
        prepared = self.http.build_request(
            request.method,
            absolute_url(request, self.configuration),
            headers=wire_headers(request, self.configuration),
            content=body.chunks() if isinstance(body, Multipart) else body,
            timeout=self._timeout(request.read_seconds, connect=CONNECT_SECONDS),
        )
        return self.http.send(prepared, stream=True)

    def close(self) -> None:
        """Close all connections."""
        self.http.close()


class _Performer:
    """Performs the effects of one operation, which has at most one open response."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._open: httpx2.Response | None = None
        self._chunks: Iterator[bytes] = iter(())

    def __enter__(self) -> "_Performer":
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def perform(self, effect: Effect) -> Any:
        """Perform the effect; return its result."""
        if isinstance(effect, Sleep):
            return time.sleep(effect.seconds)
        if isinstance(effect, Close):
            return self._close()
        try:
            if isinstance(effect, Send | Open):
                return self._send(effect)
            return next(self._chunks, None)
        except self._transport.errors as error:
            return failure_of(error, self._transport.configuration)

    def _send(self, effect: Send | Open) -> Response | Failure:
        self._close()
        response = self._transport.start(effect.request)
        head = Response(response.status_code, str(response.url), dict(response.headers))
        if isinstance(effect, Open) and head.status == 200:
            self._open, self._chunks = response, response.iter_raw()
            return head
        try:
            return Response(head.status, head.url, head.headers, response.read())
        finally:
            response.close()

    def _close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None
