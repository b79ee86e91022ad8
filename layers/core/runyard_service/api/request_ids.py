"""Gives every response its id, and an answer of ours to whatever nobody caught.

One id in two spellings: `X-Request-Id` (a UUID, the Runs API's) and `X-Trace-Id` (its hexadecimal
digits alone, the Threads API's). A run keeps the id of the request that created it.
"""

import logging
from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runyard_service.domain.ids import new_id
from runyard_service.observability import log_context

_log = logging.getLogger(__name__)


def trace_id_of(scope: Scope) -> str:
    """The id of the request, as 32 hexadecimal digits."""
    request_id: str = scope["state"]["request_id"]
    return request_id.replace("-", "")


class RequestIds:
    """ASGI middleware; plain, because a stream must pass through untouched.

    `failed` makes the answer to a request that ended in an error which nobody expected.
    """

    def __init__(self, app: ASGIApp, failed: Callable[[Scope], ASGIApp]) -> None:
        self._app = app
        self._failed = failed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        request_id = new_id()
        scope.setdefault("state", {})["request_id"] = request_id
        log_context.bind(request_id=request_id)
        has_begun = False

        async def send_marked(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                headers["X-Trace-Id"] = trace_id_of(scope)
            await send(message)

        try:
            await self._app(scope, receive, send_marked)
        except ClientDisconnect:
            return None  # Nobody is left to be answered.
        except Exception:
            told = {"request_id": request_id, "method": scope["method"], "path": scope["path"]}
            _log.exception("request failed", extra=told)
            if has_begun:
                raise
            await self._failed(scope)(scope, receive, send_marked)
