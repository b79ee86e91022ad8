"""`/v1/runs`: start a run, look at it, answer it, cancel it."""

import asyncio
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from runyard_service.adapters.dynamodb.access_keys import AccessKey
from runyard_service.adapters.dynamodb.files import NewFile
from runyard_service.adapters.dynamodb.idempotency import HEADER, Claim
from runyard_service.api.auth import run_of, run_to_delete
from runyard_service.api.bodies import parsed_body, validated
from runyard_service.api.cancels import canceled
from runyard_service.api.dependencies import Reader, RunId, Uses, Writer
from runyard_service.api.idempotency import once
from runyard_service.api.json_response import JsonResponse
from runyard_service.api.request_ids import trace_id_of
from runyard_service.api.runs.events import STREAM
from runyard_service.api.runs.files import create_body, fingerprint_of
from runyard_service.api.runs.schemas import (
    ApprovalInput,
    CreateRun,
    FeedbackInput,
    RunInput,
    run_view,
)
from runyard_service.api.runs.waiting import wait_until_settled
from runyard_service.api.services import Services
from runyard_service.api.sse import StreamShape
from runyard_service.api.streaming import stream_answer
from runyard_service.application.input_requests.submit_input import submit_input
from runyard_service.application.runs.delete_run import delete_run
from runyard_service.application.runs.start_run import NewRun, start_run
from runyard_service.domain.errors import NotFoundError
from runyard_service.domain.runs import ENDED, Run

router = APIRouter()

_SETTLED = {"awaiting_input", *ENDED}


@router.post("/runs")
async def create_run(request: Request, services: Uses, key: Writer) -> Response:
    """Start a run: synchronous, in the background, or followed as a stream."""
    async with create_body(request, services.settings.max_body_bytes) as (body, uploads):
        # It reads the files: only where somebody asks for it.
        is_kept = HEADER in request.headers
        asked = await run_in_threadpool(fingerprint_of, body, uploads) if is_kept else {}
        answer = partial(_create, services, key, body, uploads, trace_id_of(request.scope))
        return await once(request, services, key, asked, answer)


async def _create(
    services: Services,
    key: AccessKey,
    body: CreateRun,
    uploads: Sequence[NewFile],
    trace_id: str,
    claim: Claim | None,
) -> Response:
    run = await run_in_threadpool(_start, services, key, body, uploads, trace_id, claim)
    location = {"Location": f"/v1/runs/{run.id}"}
    if body.background:
        return JsonResponse({"data": run_view(run)}, HTTPStatus.ACCEPTED, headers=location)
    if body.stream:
        headers = {"Location": f"/v1/runs/{run.id}/stream", "X-Run-Id": run.id}
        return await stream_answer(services, run.id, STREAM, StreamShape(), headers=headers)
    await wait_until_settled(services, run.id)
    view = await _shown(services, run.id)
    if view["status"] in _SETTLED:
        return JsonResponse({"data": view})
    return JsonResponse({"data": view}, HTTPStatus.ACCEPTED, headers=location)


def _start(
    services: Services,
    key: AccessKey,
    body: CreateRun,
    uploads: Sequence[NewFile],
    trace_id: str,
    claim: Claim | None,
) -> Run:
    snapshot = services.catalog.agent(key.agent or services.settings.default_agent)
    wanted = NewRun(
        org_id=key.org_id,
        project_id=key.project_id,
        input=body.input,
        user_id=body.user_id,
        session_id=str(body.session_id) if body.session_id else None,
        file_ids=body.file_ids,
        uploads=uploads,
        run_id=claim.id if claim else None,
        asked_under=claim.digest if claim else "",
        author=key.author,
        trace_id=trace_id,
        max_live_runs=services.settings.project_max_live_runs,
        max_org_live_runs=services.settings.org_max_live_runs,
    )
    return start_run(services.stores, services.orchestrator, snapshot, wanted)


@router.get("/runs/{run_id}")
async def get_run(run_id: RunId, services: Uses, key: Reader) -> Response:
    """The run as it stands."""
    run = await run_of(services, key, run_id)
    return JsonResponse({"data": await _shown(services, run.id)})


@router.delete("/runs/{run_id}")
async def delete(run_id: RunId, services: Uses, key: Writer) -> Response:
    """Delete a run that has ended, for good."""
    deleted = await run_to_delete(services, key, run_id)
    await run_in_threadpool(delete_run, services.stores, deleted)
    return Response(status_code=HTTPStatus.NO_CONTENT)


async def _shown(services: Services, run_id: str) -> dict[str, Any]:
    return await run_in_threadpool(_read_view, services, run_id)


def _read_view(services: Services, run_id: str) -> dict[str, Any]:
    run = services.stores.runs.get(run_id)
    if run is None:  # It was just deleted.
        raise NotFoundError
    stores = services.stores
    requests = stores.input_requests.open_of_run(run_id) if run.awaits_input else ()
    return run_view(run, requests, stores.messages.newest_seen([run]).get(run_id))


@router.post("/runs/{run_id}/input")
async def send_input(run_id: RunId, request: Request, services: Uses, key: Writer) -> Response:
    """Answer a question or an approval request of the run."""
    run = await run_of(services, key, run_id)
    body = await parsed_body(request, RunInput)
    shape: type[FeedbackInput | ApprovalInput] = (
        FeedbackInput if body.type == "human_feedback" else ApprovalInput
    )
    answer = validated(body.model_dump(), shape).answer()

    async def submit(_: Claim | None) -> Response:
        await asyncio.to_thread(
            submit_input, services.stores, services.orchestrator, run.id, answer, key.id
        )
        services.followed_runs.wake(run.id)
        return JsonResponse({"message": "ok"})

    return await once(request, services, key, body.model_dump(mode="json"), submit)


@router.post("/runs/{run_id}/cancel")
async def cancel(run_id: RunId, request: Request, services: Uses, key: Writer) -> Response:
    """End the run as canceled; a run that has ended stays as it is."""
    run = await run_of(services, key, run_id)

    async def end(_: Claim | None) -> Response:
        await canceled(services, run, key.id)
        return JsonResponse({"message": "canceled"})

    return await once(request, services, key, {}, end)
