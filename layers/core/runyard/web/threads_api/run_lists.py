"""Lists of runs, newest first: of the whole organization, and of one thread."""

from collections.abc import Mapping

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from runyard.bootstrap import Services
from runyard.domain.errors import InvalidRequestError
from runyard.domain.ids import is_id
from runyard.domain.runs import Run
from runyard.store.access_keys import AccessKey
from runyard.web.dependencies import Uses
from runyard.web.threads_api.dependencies import Reader, ThreadId, projects_of, thread_of
from runyard.web.threads_api.pages import page_answer, page_query
from runyard.web.threads_api.views import STATUSES, brief_view, listed_view

router = APIRouter()


@router.get("/runs")
async def list_runs(request: Request, services: Uses, key: Reader) -> Response:
    """The runs of all projects that the key sees; those that are made meanwhile disturb nothing."""
    query, limit = page_query(request, frozenset({"before", "status"}))
    status = query.get("status")
    if status is not None and status not in STATUSES:
        raise InvalidRequestError({"status": f"must be one of: {', '.join(STATUSES)}"})
    runs, is_last = await run_in_threadpool(_newest, services, key, query, limit)
    rows = [listed_view(run, services.settings.credits_per_usd) for run in runs]
    return page_answer(request, rows, None if is_last else {"before": runs[-1].id})


def _newest(
    services: Services, key: AccessKey, query: Mapping[str, str], limit: int
) -> tuple[list[Run], bool]:
    """The runs of the page, and whether it is the last."""
    stores = services.stores
    statuses = STATUSES[query["status"]] if "status" in query else frozenset()
    before = _cursor(services, key, query.get("before"))
    projects = projects_of(services, key)
    ids = stores.run_lists.newest(projects, statuses, before, limit + 1)
    return stores.runs.many(ids[:limit]), len(ids) <= limit


@router.get("/threads/{thread_id}/runs")
async def list_runs_of_thread(
    thread_id: ThreadId, request: Request, services: Uses, key: Reader
) -> Response:
    """The thread's runs."""
    query, limit = page_query(request, frozenset({"before"}))
    thread = await thread_of(services, key, thread_id)

    def newest() -> tuple[list[Run], bool]:
        before = _cursor(services, key, query.get("before"))
        ids = services.stores.threads.newest_runs(thread.id, before, limit + 1)
        return services.stores.runs.many(ids[:limit]), len(ids) <= limit

    runs, is_last = await run_in_threadpool(newest)
    rows = [brief_view(run) for run in runs]
    return page_answer(request, rows, None if is_last else {"before": runs[-1].id})


def _cursor(services: Services, key: AccessKey, run_id: str | None) -> Run | None:
    """The last run of the page before."""
    if run_id is None:
        return None
    run = services.stores.runs.get(run_id) if is_id(run_id) else None
    if run is None or not key.sees(run.org_id, run.project_id):
        raise InvalidRequestError({"before": "is not a run"})
    return run
