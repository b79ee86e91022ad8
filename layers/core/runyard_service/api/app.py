"""The ASGI app of both endpoints: API Gateway (through Mangum) and the streaming function URL."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Match
from starlette.types import ASGIApp, Scope

from runyard_service.api import runs as runs_api
from runyard_service.api import threads as threads_api
from runyard_service.api.auth import PROJECT_HEADER, has_valid_key
from runyard_service.api.console.pages import add_console
from runyard_service.api.docs.pages import add_docs
from runyard_service.api.errors import error_response, status_response
from runyard_service.api.idempotency import REPLAYED_HEADER
from runyard_service.api.middleware.head_requests import HeadRequests
from runyard_service.api.middleware.path_check import PathCheck
from runyard_service.api.middleware.request_ids import RequestIds
from runyard_service.api.middleware.security_headers import SecurityHeaders
from runyard_service.api.middleware.stream_endpoint import StreamEndpointGuard
from runyard_service.api.openapi import document_with
from runyard_service.api.rate_limits import OpenStreams, RateLimits
from runyard_service.api.services import Services
from runyard_service.api.threads.root_paths import BASE_PATH, RootPathRewriter
from runyard_service.domain.errors import DefinitionError, RetryableError
from runyard_service.domain.request_errors import RequestError

_log = logging.getLogger(__name__)

# boto3 blocks, so every call to a store occupies a thread for a few milliseconds. An endpoint with
# concurrent requests (uvicorn, not the API function on Lambda) needs more than asyncio's default.
_THREADS = 64

CORS_REQUEST_HEADERS = [
    *("Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID", PROJECT_HEADER)
]
CORS_RESPONSE_HEADERS = [
    *("Link", "Location", "Retry-After", "X-Request-Id", "X-Run-Id", "X-Trace-Id", REPLAYED_HEADER)
]


def create_app(services_factory: Callable[[], Services]) -> FastAPI:
    """Return the app. It calls `services_factory` at its first request and at each later one."""
    app = FastAPI(
        title="Runyard", version="0.1.0", lifespan=_lifespan, docs_url=None, redoc_url=None
    )
    app.router.redirect_slashes = False
    app.openapi = partial(_openapi, app)  # type: ignore[method-assign]
    app.state.services_factory = services_factory
    app.state.rate_limits = RateLimits()
    app.state.open_streams = OpenStreams()
    app.add_middleware(HeadRequests)
    # Runs after RootPathRewriter, because it matches the rewritten path.
    app.add_middleware(_endpoint_guard, services_factory=services_factory)
    app.add_middleware(_root_paths, services_factory=services_factory)
    app.add_middleware(PathCheck)
    app.add_middleware(RequestIds, failed=_unexpected)
    # Outside of RequestIds, which sends a response itself.
    app.add_middleware(SecurityHeaders)
    # Outermost: without CORS headers, a web page cannot read the 500 response of RequestIds.
    app.add_middleware(_with_cors, services_factory=services_factory)
    # Set prefixes here: FastAPI creates the routes of a router with its own prefix twice.
    app.include_router(runs_api.router, prefix="/v1")
    app.include_router(threads_api.router, prefix=f"{BASE_PATH}/v1")
    add_docs(app)
    add_console(app)
    app.add_exception_handler(RequestError, _request_error)
    app.add_exception_handler(RetryableError, _unavailable)
    app.add_exception_handler(DefinitionError, _agent_unavailable)
    app.add_exception_handler(HTTPException, _http_exception)
    return app


def _root_paths(app: ASGIApp, services_factory: Callable[[], Services]) -> ASGIApp:
    async def is_authentic(scope: Scope) -> bool:
        return await has_valid_key(Request(scope), services_factory())

    return RootPathRewriter(app, is_authentic)


def _endpoint_guard(app: ASGIApp, services_factory: Callable[[], Services]) -> ASGIApp:
    """Return the app, restricted if this is the streaming endpoint. Runs at the first request."""
    return StreamEndpointGuard(app) if services_factory().settings.endpoint == "stream" else app


def _with_cors(app: ASGIApp, services_factory: Callable[[], Services]) -> ASGIApp:
    """Return the app, with CORS if the settings have an origin.

    On AWS, API Gateway and the function URL add the CORS headers. This function runs at the first
    request, because importing the app must not read the environment.
    """
    origin = services_factory().settings.cors_origin
    if not origin:
        return app
    return CORSMiddleware(
        app,
        allow_origins=[origin],
        allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=CORS_REQUEST_HEADERS,
        expose_headers=CORS_RESPONSE_HEADERS,
        max_age=600,
    )


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="store") as threads:
        asyncio.get_running_loop().set_default_executor(threads)
        await asyncio.to_thread(_read_agents, app)
        yield


def _read_agents(app: FastAPI) -> None:
    """Load the agents before the first request, and before their files can change."""
    services: Services = app.state.services_factory()
    try:
        services.catalog.agent(services.settings.default_agent)
    except (DefinitionError, RetryableError) as error:
        _log.error("agent not available: %s", error)


def _unexpected(scope: Scope) -> ASGIApp:
    return status_response(scope, HTTPStatus.INTERNAL_SERVER_ERROR)


async def _request_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    return error_response(request.scope, error)


async def _unavailable(request: Request, error: Exception) -> Response:
    _log.error("store unavailable", exc_info=error)
    return status_response(
        request.scope, HTTPStatus.SERVICE_UNAVAILABLE, headers={"Retry-After": "1"}
    )


async def _agent_unavailable(request: Request, error: Exception) -> Response:
    # Only operators see the errors in the agent's files. Callers do not.
    _log.error("agent not available: %s", error)
    details = {"agent": "is not available; see the log of the service"}
    return status_response(
        request.scope, HTTPStatus.SERVICE_UNAVAILABLE, details, {"Retry-After": "1"}
    )


async def _http_exception(request: Request, error: Exception) -> Response:
    # Raised by Starlette: unknown route, or unsupported method.
    assert isinstance(error, HTTPException)
    headers = error.headers
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers = {"Allow": ", ".join(sorted(_methods_of(request)))}
    return status_response(request.scope, HTTPStatus(error.status_code), headers=headers)


def _methods_of(request: Request) -> set[str]:
    """Return all methods of the path. Starlette reports only those of the first matching route."""
    methods = {
        method
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
        for route in request.app.routes
        if route.matches({**request.scope, "method": method})[0] is Match.FULL
    }
    return methods | ({"HEAD"} if "GET" in methods else set())


def _openapi(app: FastAPI) -> dict[str, Any]:
    services: Services = app.state.services_factory()
    agent = services.catalog.agent(services.settings.default_agent)
    return document_with(agent.definition.input_schema)
