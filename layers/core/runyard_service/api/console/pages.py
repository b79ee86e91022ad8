"""Serve the web console, which `console/` builds into `static/`."""

from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from runyard_service.api.errors import status_response
from runyard_service.api.static_files import file_response, security_policy
from runyard_service.settings import Settings

_FOLDER = Path(__file__).parent / "static"
# The names of these files contain their digest.
_IMMUTABLE = "public, max-age=31536000, immutable"


def add_console(app: FastAPI) -> None:
    """Add the page and its files. The streaming endpoint, and `Console: false`, have none."""
    app.add_route("/console", _redirect, include_in_schema=False)
    app.add_route("/console/", _page, include_in_schema=False)
    app.add_route("/console/assets/{name}", _asset, include_in_schema=False)


async def _redirect(request: Request) -> Response:
    if not _is_served(_settings(request)):
        return _missing(request)
    # A relative address is right behind a proxy, too.
    return RedirectResponse("console/", status_code=HTTPStatus.PERMANENT_REDIRECT)


async def _page(request: Request) -> Response:
    settings = _settings(request)
    if not _is_served(settings):
        return _missing(request)
    return file_response(request, _FOLDER / "index.html", _policy(settings))


async def _asset(request: Request) -> Response:
    settings, path = _settings(request), _assets().get(request.path_params["name"])
    if path is None or not _is_served(settings):
        return _missing(request)
    return file_response(request, path, _policy(settings), _IMMUTABLE)


def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.services_factory().settings
    return settings


def _is_served(settings: Settings) -> bool:
    return settings.console and settings.endpoint == "api"


def _missing(request: Request) -> Response:
    return status_response(request.scope, HTTPStatus.NOT_FOUND)


def _policy(settings: Settings) -> str:
    """Return the policy: the page also connects to the streaming endpoint, and S3 for files."""
    stream = urlsplit(settings.stream_url)
    origins = [f"{stream.scheme}://{stream.netloc}"] if stream.netloc else []
    return security_policy(origins, trusted_types=True)


@lru_cache
def _assets() -> dict[str, Path]:
    return {path.name: path for path in (_FOLDER / "assets").iterdir()}
