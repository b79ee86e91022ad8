"""The Threads API, served under `/threads/v1`: the same runs and the same log in other shapes."""

from fastapi import APIRouter

from runyard_service.api.threads import events, list_runs, messages, personas, runs, threads

router = APIRouter()
router.include_router(threads.router)
router.include_router(messages.router)
router.include_router(runs.router)
router.include_router(list_runs.router)
router.include_router(events.router)
router.include_router(personas.router)
