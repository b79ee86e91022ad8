"""The ASGI app of both doors: API Gateway's (through Mangum) and the streaming function URL's."""

import asyncio
import logging
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from runyard import bootstrap
from runyard.domain.errors import RequestError, RetryableError
from runyard.web.problems import problem, problem_of
from runyard.web.request_ids import RequestIds
from runyard.web.runs_api import routes as runs_api

_log = logging.getLogger(__name__)

# boto3 blocks, so every call to a store takes a thread for a few milliseconds. A door that serves
# many requests at once (uvicorn, not Lambda's API function) needs more than asyncio's default.
_THREADS = 64


def create_app(services: bootstrap.Services | None = None) -> FastAPI:
    """The app over these services; by default over this process's own, connected at first use."""
    app = FastAPI(title="Runyard", version="0.1.0", lifespan=_lifespan, redoc_url=None)
    app.state.services = services
    app.add_middleware(RequestIds)
    app.include_router(runs_api.router)
    app.add_exception_handler(RequestError, _request_error)
    app.add_exception_handler(RetryableError, _unavailable)
    app.add_exception_handler(HTTPException, _http_exception)
    return app


@asynccontextmanager
async def _lifespan(_: FastAPI) -> AsyncIterator[None]:
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="store") as threads:
        asyncio.get_running_loop().set_default_executor(threads)
        yield


async def _request_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    return problem_of(error)


async def _unavailable(_: Request, error: Exception) -> Response:
    _log.error("store unavailable", exc_info=error)
    return problem(HTTPStatus.SERVICE_UNAVAILABLE)


async def _http_exception(_: Request, error: Exception) -> Response:
    # Starlette's own: no such route, or no such method on it.
    assert isinstance(error, HTTPException)
    return problem(HTTPStatus(error.status_code), headers=error.headers)
