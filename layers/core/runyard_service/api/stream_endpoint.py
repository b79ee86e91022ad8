"""What the streaming door takes: streams, creates and whatever reads; no answers, no deletions.

Anybody can call its function URL, and a request there may last 15 minutes. So its role can neither
answer for a person nor delete, and what would need that is sent to the API before it fails.
"""

import re
from http import HTTPStatus

from starlette.types import ASGIApp, Receive, Scope, Send

from runyard_service.api.errors import status_response

# Everything that is read, the preflight of a page among it.
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
# Anything else is nobody's, and is told so by the application.
_OF_AN_API = re.compile(r"/(threads/)?v1/.*")
# Creates may wait for long or stream; a ticket is what a stream of this door is opened with.
_POSTS = re.compile(
    r"/v1/runs"
    r"|/v1/runs/[^/]+/ticket"
    r"|/threads/v1/threads/[^/]+/runs"
    r"|/threads/v1/runs/[^/]+/ticket"
)
# The address itself is not known here: the API needs this door's, and neither may need the other.
_ELSEWHERE = {
    "endpoint": "only streams, creates and reads; send this request to the API (output `ApiUrl`)"
}


def is_served(method: str, path: str) -> bool:
    """Whether the streaming door takes requests of this method and path."""
    if method in _READING or not _OF_AN_API.fullmatch(path):
        return True
    return method == "POST" and _POSTS.fullmatch(path) is not None


class StreamEndpointGuard:
    """ASGI middleware that answers 421 to what the API takes and this door does not."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or is_served(scope["method"], scope["path"]):
            return await self._app(scope, receive, send)
        answer = status_response(scope, HTTPStatus.MISDIRECTED_REQUEST, _ELSEWHERE)
        return await answer(scope, receive, send)
