"""`/v1/runs/{run_id}/events` and `/stream`: a run's log, page by page and live."""

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from runyard.bootstrap import Services
from runyard.domain.errors import InvalidRequestError
from runyard.web.auth import run_of, run_to_stream
from runyard.web.dependencies import Reader, Uses
from runyard.web.runs_api.paging import Page, page_of
from runyard.web.runs_api.streaming import stream_answer

router = APIRouter()


@router.get("/runs/{run_id}/events")
async def list_events(run_id: str, request: Request, services: Uses, key: Reader) -> dict[str, Any]:
    """The run's events, a page at a time, in sequence order or against it."""
    run = await run_of(services, key, run_id)
    page = page_of(request.query_params, sortable=("sequence",), default_sort="sequence")
    return await run_in_threadpool(_read_events, services, run.id, page)


def _read_events(services: Services, run_id: str, page: Page) -> dict[str, Any]:
    log = services.stores.log
    last, _ = log.last(run_id)
    # Sequences are dense, so a page is a range of them.
    first, until = page.bounds(last)
    if page.sort == ("-sequence",):
        first, until = last + 1 - until, last + 1 - first
    events = (
        [
            event.model_dump(mode="json")
            for batch in log.read(run_id, first - 1, until=until)
            for event in batch.events()
        ]
        if until >= first
        else []
    )
    if page.sort == ("-sequence",):
        events.reverse()
    return {"data": events, "pagination": page.pagination(last)}


@router.get("/runs/{run_id}/stream")
async def stream_events(run_id: str, request: Request, services: Uses) -> Response:
    """The run's events as Server-Sent Events, live, from the cursor on."""
    run = await run_to_stream(request, services, run_id)
    after = _cursor(request)
    if run.has_ended or after:
        last, has_ended = await run_in_threadpool(services.stores.log.last, run.id)
        if has_ended and after > last:
            raise InvalidRequestError({"after_sequence": f"is past the last sequence, {last}"})
        if has_ended and after == last:
            return Response(status_code=HTTPStatus.NO_CONTENT)
    return await stream_answer(services, run.id, after)


def _cursor(request: Request) -> int:
    """Where the stream begins: the header wins, but both must make sense."""
    after = _sequence("after_sequence", request.query_params.get("after_sequence", ""))
    if "last-event-id" in request.headers:
        after = _sequence("Last-Event-ID", request.headers["last-event-id"])
    return after


def _sequence(name: str, text: str) -> int:
    text = text.strip()
    if text in ("", "-1"):
        return 0
    if not text.isascii() or not text.isdecimal() or len(text) > 15:
        raise InvalidRequestError({name: "must be an integer of at least 0"})
    return int(text)
