"""`GET /v1/me`: what the access key of the request may do, without its secret."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from runyard_service.adapters.dynamodb.access_keys import AccessKey
from runyard_service.api.auth import authenticate, projects_of
from runyard_service.api.dependencies import ServicesDep
from runyard_service.api.http import JsonResponse, unknown_names
from runyard_service.api.runs.views import without_nulls
from runyard_service.api.services import Services
from runyard_service.api.streaming import stream_url_of
from runyard_service.domain.request_errors import InvalidRequestError

router = APIRouter()


async def _any_key(request: Request, services: ServicesDep) -> AccessKey:
    """Return the key of the request, also one without scopes or without a project."""
    return await authenticate(request, services, None, needs_project=False)


@router.get("/me")
async def get_me(
    request: Request, services: ServicesDep, key: Annotated[AccessKey, Depends(_any_key)]
) -> Response:
    """Return the access key of the request, and the base URL of streams."""
    if issues := unknown_names(request.query_params, ()):
        raise InvalidRequestError(issues)
    view = await run_in_threadpool(_view, services, key)
    return JsonResponse({"data": view | {"stream_url": stream_url_of(request, services)}})


def _view(services: Services, key: AccessKey) -> dict[str, Any]:
    view = {
        "key_id": key.id,
        "user": key.author.model_dump(exclude_none=True) if key.user_id else None,
        "org_id": key.org_id,
        "projects": projects_of(services, key),
        "scopes": sorted(key.scopes),
        "agent": key.agent,
        "valid_until": key.valid_until,
    }
    return without_nulls(view)
