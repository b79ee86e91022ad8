"""`/v1/keys`: the access keys of an organization."""

import re
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from runyard_service.adapters.dynamodb.access_keys import AccessKey
from runyard_service.api.auth import authenticate_organization
from runyard_service.api.dependencies import ServicesDep
from runyard_service.api.http import JsonResponse, parse_body, unknown_names
from runyard_service.api.idempotency import claim_idempotency
from runyard_service.api.runs.paging import page_of
from runyard_service.api.runs.schemas import CreateKey
from runyard_service.api.runs.views import key_view
from runyard_service.api.services import Services
from runyard_service.application.access_keys.create_key import MANAGE, NewKey, create_key
from runyard_service.domain.errors import DefinitionError
from runyard_service.domain.request_errors import InvalidRequestError, NotFoundError

router = APIRouter(prefix="/keys")

_KEY_ID = re.compile(r"key_[0-9a-f]{12}")


async def _manager(request: Request, services: ServicesDep) -> AccessKey:
    return await authenticate_organization(request, services, MANAGE)


Manager = Annotated[AccessKey, Depends(_manager)]


@router.get("")
async def list_keys(request: Request, services: ServicesDep, manager: Manager) -> Response:
    """Return a page of the organization's keys, oldest first, also expired and revoked ones."""
    query = request.query_params
    issues = unknown_names(query, {"page", "page_size"})
    page = page_of(query, ("created_at",), "created_at", known_issues=issues)
    keys = await run_in_threadpool(services.stores.access_keys.of_organization, manager)
    first, last = page.bounds(len(keys))
    data = [key_view(key) for key in keys[first - 1 : max(last, first - 1)]]
    return JsonResponse({"data": data, "pagination": page.pagination(len(keys))})


@router.post("")
async def create(request: Request, services: ServicesDep, manager: Manager) -> Response:
    """Create a key. Only the first response contains its secret, and no retry does."""
    body = await parse_body(request, CreateKey)
    if body.agent is not None:
        await run_in_threadpool(_require_agent, services, body.agent)
    owner = ("organization", manager.org_id, manager.project_id)
    content = body.model_dump(mode="json")
    claim = await claim_idempotency(request, services, manager, content, owner=owner)
    new = NewKey(**{**body.model_dump(), "scopes": body.scope_set})
    key, secret = await run_in_threadpool(
        create_key, services.stores.access_keys, manager, new, claim.creation
    )
    view = key_view(key) | ({"secret": secret} if secret else {})
    return claim.created_response(JsonResponse({"data": view}, HTTPStatus.CREATED))


@router.delete("/{key_id}")
async def revoke(request: Request, services: ServicesDep, manager: Manager) -> Response:
    """Revoke a key of the organization, also the key of the request. Return the revoked key."""
    key_id = request.path_params["key_id"]
    key = None
    if _KEY_ID.fullmatch(key_id):
        key = await run_in_threadpool(services.stores.access_keys.revoke, key_id, manager)
    if key is None:
        raise NotFoundError
    return JsonResponse({"data": key_view(key)})


def _require_agent(services: Services, agent: str) -> None:
    try:
        services.catalog.agent(agent)
    except DefinitionError:
        raise InvalidRequestError({"agent": "is not an agent of this installation"}) from None
