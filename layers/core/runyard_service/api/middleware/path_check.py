r"""Return 404 for paths with control characters, before anything else reads the path.

A regular expression that ends with `$` also matches before a line break at the end. So such a path
could match a route, and not match a check of the same route.
"""

import re
from http import HTTPStatus

from starlette.types import ASGIApp, Receive, Scope, Send

from runyard_service.api.errors import status_response

_CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class PathCheck:
    """ASGI middleware that returns 404 for a path with a control character."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or not _CONTROL_CHARACTER.search(scope["path"]):
            return await self._app(scope, receive, send)
        return await status_response(scope, HTTPStatus.NOT_FOUND)(scope, receive, send)
