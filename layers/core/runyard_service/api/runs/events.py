"""`/v1/runs/{run_id}/events` and `/stream`: the log of a run, paged and live."""

from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from runyard_service.api.auth import load_run, run_to_stream
from runyard_service.api.dependencies import ReadKey, RunId, ServicesDep
from runyard_service.api.http import JsonResponse, unknown_names
from runyard_service.api.response_size import RowSizes
from runyard_service.api.runs.paging import Page, page_of
from runyard_service.api.services import Services
from runyard_service.api.sse import SseFormat
from runyard_service.api.streaming import (
    StreamRoute,
    parse_cursor,
    parse_flag,
    resume_stream,
    ticket_view,
)
from runyard_service.domain.events import DELTA_TYPES

router = APIRouter()

STREAM = StreamRoute("/v1/runs/{run_id}/stream", cursor="after_sequence")


@router.get("/runs/{run_id}/events")
async def list_events(
    run_id: RunId, request: Request, services: ServicesDep, key: ReadKey
) -> Response:
    """Return a page of the events, in ascending or descending sequence order."""
    run = await load_run(services, key, run_id)
    query = request.query_params
    issues = unknown_names(query, {"page", "page_size", "sort", "after_sequence", "deltas"})
    after = parse_cursor("after_sequence", query.get("after_sequence", ""), issues)
    deltas = parse_flag(query, "deltas", issues)
    page = page_of(query, ("sequence",), "sequence", known_issues=issues)
    view = await run_in_threadpool(_read_events, services, run.id, page, after, deltas=deltas)
    return JsonResponse(view)


def _read_events(
    services: Services, run_id: str, page: Page, after: int, *, deltas: bool
) -> dict[str, Any]:
    log = services.stores.log
    last, _ = log.last(run_id)
    # Sequences are dense, so a page is a range of them, also if it leaves out its deltas.
    total = max(last - after, 0)
    first, until = page.bounds(total)
    if page.sort == ("-sequence",):
        first, until = total + 1 - until, total + 1 - first
    is_empty = until < first
    first, until = after + first, after + until
    batches = () if is_empty else log.read(run_id, first - 1, until=until)
    events = RowSizes(services).checked(
        event._asdict()
        for batch in batches
        for event in batch.events()
        if deltas or event.type not in DELTA_TYPES
    )
    if page.sort == ("-sequence",):
        events.reverse()
    through = max(after, last) if is_empty else until
    return {"data": events, "pagination": page.pagination(total) | {"through_sequence": through}}


@router.get("/runs/{run_id}/stream")
async def stream_events(run_id: RunId, request: Request, services: ServicesDep) -> Response:
    """Stream the events after the cursor as Server-Sent Events."""
    run = await run_to_stream(request, services, run_id)
    return await resume_stream(request, services, run, STREAM, SseFormat())


@router.post("/runs/{run_id}/ticket")
async def create_ticket(
    run_id: RunId, request: Request, services: ServicesDep, key: ReadKey
) -> Response:
    """Return a stream ticket, for clients that cannot send headers."""
    run = await load_run(services, key, run_id)
    return JsonResponse({"data": await ticket_view(request, services, run.id, STREAM)})
