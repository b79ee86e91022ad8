"""The Threads API, served under `/threads/v1`: another interface to the same runs and events."""

from fastapi import APIRouter

from runyard_service.api.threads import events, list_runs, messages, personas, runs, threads

router = APIRouter()
router.include_router(threads.router)
router.include_router(messages.router)
router.include_router(runs.router)
router.include_router(list_runs.router)
router.include_router(events.router)
router.include_router(personas.router)
