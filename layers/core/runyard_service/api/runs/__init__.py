"""The Runs API, served under `/v1`."""

from fastapi import APIRouter, Response

from runyard_service.api.http import JsonResponse
from runyard_service.api.runs import (
    agents,
    events,
    export,
    files,
    input_requests,
    keys,
    list_runs,
    me,
    runs,
    usage,
    webhooks,
)

router = APIRouter()
router.include_router(runs.router)
router.include_router(events.router)
router.include_router(export.router)
router.include_router(list_runs.router)
router.include_router(input_requests.router)
router.include_router(files.router)
router.include_router(usage.router)
router.include_router(webhooks.router)
router.include_router(me.router)
router.include_router(agents.router)
router.include_router(keys.router)


@router.get("/health")
async def health() -> Response:
    """Return `{"status": "ok"}`."""
    return JsonResponse({"status": "ok"})
