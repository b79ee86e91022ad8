"""Gives every response its `X-Request-Id`, and a 500 of ours to whatever nobody caught."""

import logging
from http import HTTPStatus

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runyard.domain.ids import new_id
from runyard.web.problems import problem

_log = logging.getLogger(__name__)


class RequestIds:
    """ASGI middleware; plain, because a stream must pass through untouched."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        request_id = new_id()
        has_begun = False

        async def send_marked(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
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
            response = problem(HTTPStatus.INTERNAL_SERVER_ERROR)
            await response(scope, receive, send_marked)
