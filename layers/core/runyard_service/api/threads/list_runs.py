"""List the runs of an organization or of a thread, newest first."""

from collections.abc import Mapping, Sequence

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from runyard_service.adapters.dynamodb.access_keys import AccessKey
from runyard_service.adapters.run_deletion import DeletedRun
from runyard_service.api.auth import projects_of
from runyard_service.api.dependencies import ServicesDep
from runyard_service.api.services import Services
from runyard_service.api.threads.dependencies import ReadKey, ThreadId, thread_of
from runyard_service.api.threads.paging import page_query, page_response
from runyard_service.api.threads.views import STATUSES, brief_view, listed_view
from runyard_service.domain.ids import parse_id
from runyard_service.domain.request_errors import InvalidRequestError
from runyard_service.domain.runs import Run

router = APIRouter()


@router.get("/runs")
async def list_runs(request: Request, services: ServicesDep, key: ReadKey) -> Response:
    """Return the runs of all accessible projects. New runs do not shift the pages."""
    query, limit = page_query(request, frozenset({"before", "status"}))
    status = query.get("status")
    if status is not None and status not in STATUSES:
        raise InvalidRequestError({"status": f"must be one of: {', '.join(STATUSES)}"})
    runs, next_query = await run_in_threadpool(_newest, services, key, query, limit)
    rows = [listed_view(run, services.settings.credits_per_usd) for run in runs]
    return page_response(request, rows, next_query)


def _newest(
    services: Services, key: AccessKey, query: Mapping[str, str], limit: int
) -> tuple[list[Run], Mapping[str, str] | None]:
    """Return the runs of the page, and the query parameters of the next page."""
    stores = services.stores
    statuses = STATUSES[query["status"]] if "status" in query else frozenset()
    before = _cursor(services, key, query.get("before"))
    projects = projects_of(services, key)
    ids = stores.run_lists.newest(projects, statuses, before, limit + 1)
    return stores.runs.many(ids[:limit]), _next_query(ids, limit)


@router.get("/threads/{thread_id}/runs")
async def list_runs_of_thread(
    thread_id: ThreadId, request: Request, services: ServicesDep, key: ReadKey
) -> Response:
    """Return a page of the runs of the thread."""
    query, limit = page_query(request, frozenset({"before"}))
    thread = await thread_of(services, key, thread_id)

    def newest() -> tuple[list[Run], Mapping[str, str] | None]:
        before = _cursor(services, key, query.get("before"))
        ids = services.stores.threads.newest_runs(thread.id, before, limit + 1)
        return services.stores.runs.many(ids[:limit]), _next_query(ids, limit)

    runs, next_query = await run_in_threadpool(newest)
    return page_response(request, [brief_view(run) for run in runs], next_query)


def _next_query(ids: Sequence[str], limit: int) -> Mapping[str, str] | None:
    """Return the cursor of the next page. It uses ids, because runs may be deleted by now."""
    return {"before": ids[limit - 1]} if len(ids) > limit else None


def _cursor(services: Services, key: AccessKey, before: str | None) -> Run | DeletedRun | None:
    """Return the last run of the previous page, also if it was deleted since."""
    if before is None:
        return None
    stores, run_id = services.stores, parse_id(before)
    run: Run | DeletedRun | None = None
    if run_id:
        run = stores.runs.get(run_id, key.can_access) or stores.deleted_runs.find(run_id)
    if run is None or not run.started_at or not key.can_access(run.org_id, run.project_id):
        raise InvalidRequestError({"before": "is not the id of a run"})
    return run
