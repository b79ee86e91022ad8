"""`GET /v1/usage`: the usage of a project's ended runs, by day."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams

from runyard_service.adapters.dynamodb.usage.counters import Dimensions
from runyard_service.api.dependencies import ReadKey, ServicesDep
from runyard_service.api.http import JsonResponse, unknown_names
from runyard_service.api.response_size import RowSizes
from runyard_service.api.runs.views import usage_view
from runyard_service.api.services import Services
from runyard_service.domain.clock import now
from runyard_service.domain.request_errors import InvalidRequestError
from runyard_service.domain.usage_totals import UsageTotals

router = APIRouter()

# The days of a request: each takes a query for each shard of a counter.
MAX_DAYS = 92
DEFAULT_DAYS = 30
# The names of the rows besides the day, by the value of `by`.
_NAMES: Mapping[str, Callable[[Dimensions], str]] = {
    "day": lambda _: "",
    "agent": lambda counted: counted.agent,
    "model": lambda counted: counted.model,
    "user": lambda counted: counted.user_id,
}


@dataclass(frozen=True)
class _Query:
    first: date
    last: date
    by: str


@router.get("/usage")
async def get_usage(request: Request, services: ServicesDep, key: ReadKey) -> Response:
    """Return a row for each day and each agent, model or user, oldest day first."""
    query = _parse(request.query_params)
    rows = await run_in_threadpool(_read_rows, services, key.project_id, query)
    return JsonResponse({"data": rows})


def _parse(query: QueryParams) -> _Query:
    issues = unknown_names(query, {"from", "to", "by"})
    by = query.get("by") or "day"
    if by not in _NAMES:
        issues["by"] = f"must be one of: {', '.join(_NAMES)}"
    last = _day(query, "to", now().date(), issues)
    first = _day(query, "from", last - timedelta(days=DEFAULT_DAYS - 1), issues)
    if not issues and first > last:
        issues["from"] = "must not be after to"
    if not issues and (last - first).days >= MAX_DAYS:
        issues["from"] = f"must be at most {MAX_DAYS - 1} days before to"
    if issues:
        raise InvalidRequestError(issues)
    return _Query(first, last, by)


def _day(query: QueryParams, name: str, default: date, issues: dict[str, str]) -> date:
    text = query.get(name)
    if not text:
        return default
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.min
    # Python also reads other forms, such as 20260610. Runs have no dates before 1000.
    if day.isoformat() == text and day.year >= 1000:
        return day
    issues[name] = "must be a day (UTC), such as 2026-06-10"
    return default


def _read_rows(services: Services, project_id: str, query: _Query) -> list[Mapping[str, Any]]:
    totals: dict[tuple[str, str], UsageTotals] = {}
    name_of = _NAMES[query.by]
    for counted, usage in services.stores.usage_days.of_project(
        project_id, query.first, query.last
    ):
        row = counted.day, name_of(counted)
        totals[row] = totals[row].plus(usage) if row in totals else usage
    sizes = RowSizes(services, "from", "ask for fewer days")
    field = "user_id" if query.by == "user" else query.by
    return sizes.checked(
        {"day": day, **({field: name} if name else {}), **usage_view(usage)}
        for (day, name), usage in sorted(totals.items(), key=lambda pair: pair[0])
    )
