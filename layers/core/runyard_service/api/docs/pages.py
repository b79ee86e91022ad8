"""Serve the documentation page and its files. A content security policy blocks all other hosts.

The page has no form for an access key. It shows a curl command for each operation instead.
"""

from functools import lru_cache
from pathlib import Path

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from runyard_service.api.threads.root_paths import BASE_PATH

_FOLDER = Path(__file__).parent
_TYPES = {
    "page.html": "text/html",
    "page.js": "text/javascript",
    "page.css": "text/css",
    "icon.svg": "image/svg+xml",
}
_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    ),
    "X-Frame-Options": "DENY",
}


def add_docs(app: FastAPI) -> None:
    """Add the page for both APIs. The page of the Threads API shows only its part."""
    for prefix in ("", BASE_PATH):
        app.add_route(f"{prefix}/docs", _page, include_in_schema=False)
        app.add_route(f"{prefix}/docs/{{name}}", _file, include_in_schema=False)


async def _page(_: Request) -> Response:
    return _response("page.html")


async def _file(request: Request) -> Response:
    name = request.path_params["name"]
    return _response(name) if name in _TYPES else Response(status_code=404)


def _response(name: str) -> Response:
    return Response(_content(name), headers=_HEADERS, media_type=_TYPES[name])


@lru_cache
def _content(name: str) -> bytes:
    return (_FOLDER / name).read_bytes()
