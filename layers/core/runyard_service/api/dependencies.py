"""FastAPI dependencies of the routes: services, the caller's key, and path parameters."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request

from runyard_service.adapters.dynamodb.access_keys import AccessKey
from runyard_service.api.auth import authenticate
from runyard_service.api.services import Services
from runyard_service.domain.ids import parse_id


def _services(request: Request) -> Services:
    services: Services = request.app.state.services_factory()
    return services


async def _reader(request: Request, services: "ServicesDep") -> AccessKey:
    return await authenticate(request, services, "runs:read")


async def _writer(request: Request, services: "ServicesDep") -> AccessKey:
    return await authenticate(request, services, "runs:write")


def path_id(name: str) -> Callable[[Request], Awaitable[str]]:
    """Return a dependency that reads this path parameter as an id, in its stored form.

    A text that is not an id becomes an empty string, which no record has as its id. So the route
    authenticates the caller before it returns 404.

    FastAPI's own path parameters create a TypeAdapter for each route and import pydantic.v1: about
    5 % of the cold start of the API.
    """

    async def read(request: Request) -> str:
        return parse_id(request.path_params[name]) or ""

    return read


ServicesDep = Annotated[Services, Depends(_services)]
ReadKey = Annotated[AccessKey, Depends(_reader)]
WriteKey = Annotated[AccessKey, Depends(_writer)]
RunId = Annotated[str, Depends(path_id("run_id"))]
