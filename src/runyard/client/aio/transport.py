"""Perform the effects of operations with httpx2, on asyncio."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
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


class AsyncTransport:
    """The connections of one client, for one event loop."""

    def __init__(self, configuration: Configuration) -> None:
        import httpx2

        self.configuration = configuration
        self.errors = (httpx2.RequestError, httpx2.InvalidURL)
        self._timeout = httpx2.Timeout
        self.http = httpx2.AsyncClient(
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=20)
        )

    async def run(self, call: Call[T]) -> T:
        """Perform an operation; return its result."""
        async with _Performer(self) as performer:
            result: Any = None
            while True:
                try:
                    effect = call.send(result)
                except StopIteration as stop:
                    value: T = stop.value
                    return value
                result = await performer.perform(effect)

    async def iterate(self, stream: Stream[T]) -> AsyncGenerator[T]:
        """Perform an operation; yield its items."""
        async with _Performer(self) as performer:
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
                    result = await performer.perform(effect)

    async def start(self, request: Request) -> "httpx2.Response":
        """Send the request; return the response when its head has arrived."""
        body = request.body
        prepared = self.http.build_request(
            request.method,
            absolute_url(request, self.configuration),
            headers=wire_headers(request, self.configuration),
            content=_in_thread(body.chunks()) if isinstance(body, Multipart) else body,
            timeout=self._timeout(request.read_seconds, connect=CONNECT_SECONDS),
        )
        return await self.http.send(prepared, stream=True)

    async def close(self) -> None:
        """Close all connections."""
        await self.http.aclose()


async def _in_thread(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the chunks of a file, each read in a thread."""
    from anyio import to_thread  # httpx2 needs it too.

    while chunk := await to_thread.run_sync(next, chunks, b""):
        yield chunk


class _Performer:
    """Performs the effects of one operation, which has at most one open response."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport
        self._open: httpx2.Response | None = None
        self._chunks: AsyncIterator[bytes] | None = None

    async def __aenter__(self) -> "_Performer":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def perform(self, effect: Effect) -> Any:
        """Perform the effect; return its result."""
        if isinstance(effect, Sleep):
            from anyio import sleep  # httpx2 needs it too.

            return await sleep(effect.seconds)
        if isinstance(effect, Close):
            return await self._close()
        try:
            if isinstance(effect, Send | Open):
                return await self._send(effect)
            return await anext(self._chunks, None) if self._chunks else None
        except self._transport.errors as error:
            return failure_of(error, self._transport.configuration)

    async def _send(self, effect: Send | Open) -> Response | Failure:
        await self._close()
        response = await self._transport.start(effect.request)
        head = Response(response.status_code, str(response.url), dict(response.headers))
        if isinstance(effect, Open) and head.status == 200:
            self._open, self._chunks = response, response.aiter_raw()
            return head
        try:
            return Response(head.status, head.url, head.headers, await response.aread())
        finally:
            await response.aclose()

    async def _close(self) -> None:
        if self._open is not None:
            await self._open.aclose()
            self._open = self._chunks = None
