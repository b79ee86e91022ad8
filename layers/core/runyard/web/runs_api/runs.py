"""`/v1/runs`: start a run, look at it, answer it, cancel it."""

import asyncio
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.concurrency import run_in_threadpool

from runyard.bootstrap import Services
from runyard.domain.runs import Run
from runyard.engine.cancel_run import cancel_run
from runyard.engine.start_run import NewRun, start_run
from runyard.engine.submit_input import submit_input
from runyard.store.access_keys import AccessKey
from runyard.web import tickets
from runyard.web.auth import run_of
from runyard.web.bodies import parsed_body, validated
from runyard.web.dependencies import Reader, Uses, Writer
from runyard.web.runs_api.schemas import (
    ApprovalInput,
    CreateRun,
    FeedbackInput,
    RunInput,
    run_view,
)
from runyard.web.runs_api.waiting import has_settled
from runyard.web.sse import event_stream

router = APIRouter()


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
