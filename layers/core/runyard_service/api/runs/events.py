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
from runyard_service.api.streaming import StreamRoute, resume_stream, ticket_view

router = APIRouter()

STREAM = StreamRoute("/v1/runs/{run_id}/stream", cursor="after_sequence")


@router.get("/runs/{run_id}/events")
async def list_events(
    run_id: RunId, request: Request, services: ServicesDep, key: ReadKey
) -> Response:
    """Return a page of the events, in ascending or descending sequence order."""
    run = await load_run(services, key, run_id)
    query = request.query_params
    issues = unknown_names(query, {"page", "page_size", "sort"})
    page = page_of(query, ("sequence",), "sequence", known_issues=issues)
    return JsonResponse(await run_in_threadpool(_read_events, services, run.id, page))


def _read_events(services: Services, run_id: str, page: Page) -> dict[str, Any]:
    log = services.stores.log
    last, _ = log.last(run_id)
    # Sequences are dense, so a page is a range of them.
    first, until = page.bounds(last)
    if page.sort == ("-sequence",):
        first, until = last + 1 - until, last + 1 - first
    batches = log.read(run_id, first - 1, until=until) if until >= first else ()
    events = RowSizes(services).checked(
        event._asdict() for batch in batches for event in batch.events()
    )
    if page.sort == ("-sequence",):
        events.reverse()
    return {"data": events, "pagination": page.pagination(last)}


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
