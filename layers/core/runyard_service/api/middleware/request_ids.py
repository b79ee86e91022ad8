"""Set the request id on every response, and respond to unhandled exceptions.

The same id has two headers: `X-Request-Id` (a UUID, for the Runs API) and `X-Trace-Id` (its 32
hexadecimal digits, for the Threads API). A run stores the id of the request that created it.
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
    """Return the id of the request as 32 hexadecimal digits."""
    request_id: str = scope["state"]["request_id"]
    return request_id.replace("-", "")


class RequestIds:
    """Pure ASGI middleware, because streams must pass through unbuffered.

    `failed` builds the response after an unhandled exception.
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
        has_started = False

        async def send_with_ids(message: Message) -> None:
            nonlocal has_started
            if message["type"] == "http.response.start":
                has_started = True
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                headers["X-Trace-Id"] = trace_id_of(scope)
            await send(message)

        try:
            await self._app(scope, receive, send_with_ids)
        except ClientDisconnect:
            return None  # The client has disconnected.
        except Exception:
            extra = {"request_id": request_id, "method": scope["method"], "path": scope["path"]}
            _log.exception("request failed", extra=extra)
            if has_started:
                raise
            await self._failed(scope)(scope, receive, send_with_ids)
