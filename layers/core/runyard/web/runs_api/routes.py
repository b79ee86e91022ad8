"""The routes of the Runs API: parse, call one verb of the engine, show."""

import asyncio
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.concurrency import run_in_threadpool

from runyard import bootstrap
from runyard.bootstrap import Services
from runyard.domain.errors import InvalidRequestError
from runyard.domain.runs import Run
from runyard.engine.cancel_run import cancel_run
from runyard.engine.start_run import NewRun, start_run
from runyard.engine.submit_input import submit_input
from runyard.store.access_keys import AccessKey
from runyard.web import tickets
from runyard.web.auth import authorized, run_of, run_to_stream
from runyard.web.bodies import parsed_body, validated
from runyard.web.runs_api.paging import Page, page_of
from runyard.web.runs_api.schemas import (
    ApprovalInput,
    CreateRun,
    FeedbackInput,
    RunInput,
    run_view,
)
from runyard.web.runs_api.waiting import has_settled
from runyard.web.sse import event_stream

router = APIRouter(prefix="/v1")


def _services(request: Request) -> Services:
    return request.app.state.services or bootstrap.services()


async def _reader(request: Request, services: "Uses") -> AccessKey:
    return await authorized(request, services, "runs:read")


async def _writer(request: Request, services: "Uses") -> AccessKey:
    return await authorized(request, services, "runs:write")


Uses = Annotated[Services, Depends(_services)]
Reader = Annotated[AccessKey, Depends(_reader)]
Writer = Annotated[AccessKey, Depends(_writer)]


@router.get("/health")
async def health() -> dict[str, str]:
    """The service answers."""
    return {"status": "ok"}


@router.post("/runs")
async def create_run(request: Request, services: Uses, key: Writer) -> Response:
    """Start a run: synchronous, in the background, or followed as a stream."""
    body = await parsed_body(request, CreateRun)
    run = await run_in_threadpool(_start, services, key, body)
    location = {"Location": f"/v1/runs/{run.id}"}
    if body.background:
        return JSONResponse({"data": run_view(run)}, HTTPStatus.ACCEPTED, headers=location)
    if body.stream:
        return await _stream_created(services, run)
    settled = await has_settled(services, run.id)
    view = await _shown(services, run.id)
    if settled:
        return JSONResponse({"data": view})
    return JSONResponse({"data": view}, HTTPStatus.ACCEPTED, headers=location)


def _start(services: Services, key: AccessKey, body: CreateRun) -> Run:
    snapshot = services.catalog.agent(key.agent or services.settings.default_agent)
    wanted = NewRun(
        org_id=key.org_id,
        project_id=key.project_id,
        input=body.input,
        user_id=body.user_id,
        session_id=str(body.session_id) if body.session_id else None,
    )
    return start_run(services.stores, services.orchestrator, snapshot, wanted)


async def _stream_created(services: Services, run: Run) -> Response:
    path = f"/v1/runs/{run.id}/stream"
    if not services.settings.stream_url:
        headers = {"Location": path, "X-Run-Id": run.id}
        return event_stream(services.stores.log, services.settings, run.id, 0, headers)
    # This door cannot stream: the other one can, and the ticket opens it for this run alone.
    secret = await run_in_threadpool(services.ticket_secret)
    address = f"{services.settings.stream_url.rstrip('/')}{path}"
    return RedirectResponse(
        f"{address}?ticket={tickets.issue(secret, run.id)}",
        HTTPStatus.SEE_OTHER,
        headers={"X-Run-Id": run.id},
    )


@router.get("/runs/{run_id}")
async def get_run(run_id: str, services: Uses, key: Reader) -> dict[str, Any]:
    """The run as it stands."""
    run = await run_of(services, key, run_id)
    return {"data": await _shown(services, run.id)}


async def _shown(services: Services, run_id: str) -> dict[str, Any]:
    return await run_in_threadpool(_read_view, services, run_id)


def _read_view(services: Services, run_id: str) -> dict[str, Any]:
    run = services.stores.runs.get(run_id)
    assert run is not None, "runs are not deleted while they are shown"
    requests = services.stores.input_requests.open_of_run(run_id) if run.awaits_input else ()
    return run_view(run, requests)


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
    return event_stream(services.stores.log, services.settings, run.id, after)


def _cursor(request: Request) -> int:
    name, text = "after_sequence", request.query_params.get("after_sequence", "")
    if "last-event-id" in request.headers:
        name, text = "Last-Event-ID", request.headers["last-event-id"]
    text = text.strip()
    if text in ("", "-1"):
        return 0
    if not text.isascii() or not text.isdecimal() or len(text) > 15:
        raise InvalidRequestError({name: "must be an integer of at least 0"})
    return int(text)


@router.post("/runs/{run_id}/input")
async def send_input(run_id: str, request: Request, services: Uses, key: Writer) -> dict[str, str]:
    """Answer a question or an approval request of the run."""
    run = await run_of(services, key, run_id)
    body = await parsed_body(request, RunInput)
    shape: type[FeedbackInput | ApprovalInput] = (
        FeedbackInput if body.type == "human_feedback" else ApprovalInput
    )
    answer = validated(body.model_dump(), shape).answer()
    await asyncio.to_thread(
        submit_input, services.stores, services.orchestrator, run.id, answer, key.id
    )
    return {"message": "ok"}


@router.post("/runs/{run_id}/cancel")
async def cancel(run_id: str, services: Uses, key: Writer) -> dict[str, str]:
    """End the run as canceled; a run that has ended stays as it is."""
    run = await run_of(services, key, run_id)
    if not run.has_ended:
        await asyncio.to_thread(cancel_run, services.stores, services.orchestrator, run.id, key.id)
    return {"message": "canceled"}
