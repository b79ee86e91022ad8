"""The Runs API, put together: every router."""

from fastapi import APIRouter, Response

from runyard.web.json_response import JsonResponse
from runyard.web.runs_api import events, export, files, input_requests, lists, runs, webhooks

router = APIRouter()
router.include_router(runs.router)
router.include_router(events.router)
router.include_router(export.router)
router.include_router(lists.router)
router.include_router(input_requests.router)
router.include_router(files.router)
router.include_router(webhooks.router)


@router.get("/health")
async def health() -> Response:
    """The service answers."""
    return JsonResponse({"status": "ok"})
