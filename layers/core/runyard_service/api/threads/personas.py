"""`/v1/personas` and `/v1/routes`: the available agents and models."""

from typing import Any

from fastapi import APIRouter, Depends, Response
from starlette.concurrency import run_in_threadpool

from runyard_service.adapters.dynamodb.access_keys import AccessKey
from runyard_service.api.dependencies import ServicesDep
from runyard_service.api.http import JsonResponse
from runyard_service.api.services import Services
from runyard_service.api.threads.dependencies import ReadKey, reader

router = APIRouter()


@router.get("/personas")
async def list_personas(services: ServicesDep, key: ReadKey) -> Response:
    """Return the versions of the personas that the key may use, newest version first per key."""
    return JsonResponse(await run_in_threadpool(_personas, services, key))


def _personas(services: Services, key: AccessKey) -> list[dict[str, Any]]:
    default, _, version = (key.agent or services.settings.default_persona).partition("@")
    return [
        {
            "persona_id": persona.snapshot.name,
            "persona_key": persona.snapshot.definition.key,
            "version": persona.snapshot.definition.version,
            "description": persona.snapshot.definition.description,
            "route_id": persona.snapshot.route_id,
            "model": persona.snapshot.route.model_name,
            "is_default": persona.snapshot.definition.key == default
            and (
                persona.is_newest if not version else persona.snapshot.definition.version == version
            ),
        }
        for persona in services.catalog.personas()
        if key.may_use(persona.snapshot.name)
    ]


@router.get("/routes", dependencies=[Depends(reader)])
async def list_routes(services: ServicesDep) -> Response:
    """Return all routes."""
    routes = await run_in_threadpool(services.catalog.routes)
    rows = [
        {"route_id": name, "provider": route.provider, "model": route.model_name}
        for name, route in routes.items()
    ]
    return JsonResponse(rows)
