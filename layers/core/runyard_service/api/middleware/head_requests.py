"""Respond to HEAD as to GET, without a body. A stream ends after its headers."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadRequests:
    """ASGI middleware that routes HEAD requests as GET requests, and drops the body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            return await self._app(scope, receive, send)

        async def send_headers(message: Message) -> None:
            is_start = message["type"] == "http.response.start"
            await send(message if is_start else {"type": "http.response.body", "body": b""})
            if not is_start and message.get("more_body", False):
                raise _BodyDroppedError

        try:
            await self._app({**scope, "method": "GET"}, receive, send_headers)
        except _BodyDroppedError:
            return None


class _BodyDroppedError(Exception):
    """Ends a response whose body would have further chunks."""
