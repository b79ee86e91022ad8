"""The Runs API, put together: every router under `/v1`."""

from fastapi import APIRouter

from runyard.web.runs_api import events, export, files, input_requests, lists, runs, webhooks

router = APIRouter(prefix="/v1")
router.include_router(runs.router)
router.include_router(events.router)
router.include_router(export.router)
router.include_router(lists.router)
router.include_router(input_requests.router)
router.include_router(files.router)
router.include_router(webhooks.router)


@router.get("/health")
async def health() -> dict[str, str]:
    """The service answers."""
    return {"status": "ok"}
