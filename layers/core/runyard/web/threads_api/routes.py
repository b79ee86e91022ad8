"""The Threads API, put together: every router."""

from fastapi import APIRouter

from runyard.web.threads_api import catalog, events, messages, run_lists, runs, threads

router = APIRouter()
router.include_router(threads.router)
router.include_router(messages.router)
router.include_router(runs.router)
router.include_router(run_lists.router)
router.include_router(events.router)
router.include_router(catalog.router)
