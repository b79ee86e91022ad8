"""Serve the documentation page and its files.

The page has no form for an access key. It shows a curl command for each operation instead.
"""

from pathlib import Path

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from runyard_service.api.static_files import file_response, security_policy
from runyard_service.api.threads.root_paths import BASE_PATH

_FOLDER = Path(__file__).parent
_NAMES = frozenset({"page.html", "page.js", "page.css", "icon.svg"})
_POLICY = security_policy()


def add_docs(app: FastAPI) -> None:
    """Add the page for both APIs. The page of the Threads API shows only its part."""
    for prefix in ("", BASE_PATH):
        app.add_route(f"{prefix}/docs", _page, include_in_schema=False)
        app.add_route(f"{prefix}/docs/{{name}}", _file, include_in_schema=False)


async def _page(request: Request) -> Response:
    return file_response(request, _FOLDER / "page.html", _POLICY)


async def _file(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _NAMES:
        return Response(status_code=404)
    return file_response(request, _FOLDER / name, _POLICY)
