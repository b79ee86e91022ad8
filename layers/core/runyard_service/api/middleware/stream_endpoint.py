"""Requests that the streaming endpoint accepts: streams, creates and reads.

Its function URL is public, and a request may last 15 minutes. So its role can neither submit input
nor delete. The guard returns 421 for such requests, because they would fail later.
"""

import re
from http import HTTPStatus

from starlette.types import ASGIApp, Receive, Scope, Send

from runyard_service.api.errors import status_response

# Reads, including the CORS preflight. The application returns 404 for unknown paths.
_READ_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# Creates may take minutes or stream. A ticket opens a stream of this endpoint.
_POSTS = re.compile(
    r"/v1/runs"
    r"|/v1/runs/[^/]+/ticket"
    r"|/threads/v1/threads/[^/]+/runs"
    r"|/threads/v1/runs/[^/]+/ticket"
)
# The URL of the API is unknown here: the API depends on the URL of this endpoint, and
# CloudFormation rejects circular dependencies.
_DETAILS = {
    "endpoint": "only streams, creates and reads; send this request to the API (output `ApiUrl`)"
}


def is_served(method: str, path: str) -> bool:
    """Return True if the streaming endpoint accepts this method and path."""
    if method in _READ_METHODS:
        return True
    return method == "POST" and _POSTS.fullmatch(path) is not None


class StreamEndpointGuard:
    """ASGI middleware that returns 421 for requests that only the API accepts."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or is_served(scope["method"], scope["path"]):
            return await self._app(scope, receive, send)
        response = status_response(scope, HTTPStatus.MISDIRECTED_REQUEST, _DETAILS)
        return await response(scope, receive, send)
