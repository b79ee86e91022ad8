"""`GET /v1/runs`: the runs of the project, filtered, sorted and paged."""

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams

from runyard_service.adapters.dynamodb.run_index.run_list_plan import (
    API_STATUSES,
    FIRST,
    LAST,
    SORTABLE,
    RunFilter,
)
from runyard_service.api.dependencies import ReadKey, ServicesDep
from runyard_service.api.http import JsonResponse, unknown_names
from runyard_service.api.response_size import RowSizes
from runyard_service.api.runs.paging import Page, page_of
from runyard_service.api.runs.views import related_view, run_view
from runyard_service.api.services import Services
from runyard_service.domain.clock import parse_rfc_3339
from runyard_service.domain.ids import parse_id
from runyard_service.domain.input_requests import InputRequest
from runyard_service.domain.runs import Run

router = APIRouter()

_TIMES = ("started_after", "started_before", "ended_after")
_PARAMETERS = {
    *("status", "agent", "user_id", "session_id", *_TIMES),
    *("page", "page_size", "sort"),
}
_AGENT_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
# Input requests are read per run. Concurrent reads reduce the latency of a page.
_READERS = 8


@router.get("/runs")
async def list_runs(request: Request, services: ServicesDep, key: ReadKey) -> Response:
    """Return a page of the runs of the project, by default newest first.

    With `ended_after`, the default order is that of the end.
    """
    query = request.query_params
    issues = unknown_names(query, _PARAMETERS, repeatable={"status"})
    run_filter = _filter(query, key.project_id, issues)
    default_sort = "-started_at" if run_filter.ended_after is None else "-ended_at"
    page = page_of(query, SORTABLE, default_sort, known_issues=issues)
    return JsonResponse(await run_in_threadpool(_read_page, services, run_filter, page))


def _filter(query: QueryParams, project_id: str, issues: dict[str, str]) -> RunFilter:
    statuses = frozenset(filter(None, query.getlist("status")))
    user_id = query.get("user_id") or None
    if not statuses <= set(API_STATUSES):
        issues["status"] = f"must be one of: {', '.join(API_STATUSES)}"
    if user_id is not None and len(user_id) > 256:
        issues["user_id"] = "must be 1 to 256 characters long"
    session = query.get("session_id")
    session_id = parse_id(session) if session else None
    if session and session_id is None:
        issues["session_id"] = "must be a UUID"
    agent = query.get("agent") or None
    if agent is not None and not _AGENT_NAME.fullmatch(agent):
        issues["agent"] = "must be the name of an agent without its version, such as support_triage"
    times = _times(query, issues)
    return RunFilter(
        project_id,
        statuses,
        user_id,
        session_id,
        agent,
        started_after=times.get("started_after", FIRST),
        started_before=times.get("started_before", LAST),
        ended_after=times.get("ended_after"),
    )


def _times(query: QueryParams, issues: dict[str, str]) -> dict[str, str]:
    """Return the times of the query as timestamps."""
    times: dict[str, str] = {}
    for name in _TIMES:
        if text := query.get(name):
            moment = parse_rfc_3339(text)
            if moment is None:
                issues[name] = (
                    "must be a time with a time zone (RFC 3339), such as 2026-06-10T09:15:00Z;"
                    " write + as %2B"
                )
            else:
                times[name] = moment
    if times.get("started_after", FIRST) >= times.get("started_before", LAST):
        issues["started_before"] = "must be after started_after"
    return times


def _read_page(services: Services, run_filter: RunFilter, page: Page) -> dict[str, Any]:
    stores = services.stores
    first, _ = page.bounds(0)
    result = stores.run_lists.page(run_filter, page.sort, first, page.size)
    rows, sizes = [], RowSizes(services)
    for run in stores.runs.each(result.ids):
        view = run_view(run)
        sizes.add(view)  # Before the next one is read.
        rows.append((run, view))
    runs = [run for run, _ in rows]
    requests = _input_requests(services, [run for run in runs if run.awaits_input])
    messages = stores.messages.newest_seen(runs)
    for run, view in rows:
        related = related_view(run, requests.get(run.id, ()), messages.get(run.id))
        if related:
            sizes.add(related)
            view |= related
    return {"data": [view for _, view in rows], "pagination": page.pagination(result.total)}


def _input_requests(services: Services, waiting: list[Run]) -> dict[str, list[InputRequest]]:
    if not waiting:
        return {}
    ids = [run.id for run in waiting]
    with ThreadPoolExecutor(min(_READERS, len(ids))) as pool:
        return dict(
            zip(ids, pool.map(services.stores.input_requests.open_of_run, ids), strict=True)
        )
