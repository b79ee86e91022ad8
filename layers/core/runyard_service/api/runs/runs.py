"""`/v1/runs`: create, read, answer, cancel and delete runs."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import aclosing
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from runyard_service.adapters.dynamodb.access_keys import AccessKey
from runyard_service.adapters.dynamodb.files import NewFile
from runyard_service.agents.definitions.models import Snapshot
from runyard_service.api.auth import (
    check_agent,
    check_scope,
    load_deletable_run,
    load_run,
    run_to_read,
    ticket_of,
)
from runyard_service.api.dependencies import RunId, ServicesDep, WriteKey
from runyard_service.api.http import (
    MAX_ANSWER_BODY_BYTES,
    JsonResponse,
    parse_body,
    validate,
)
from runyard_service.api.idempotency import RequestClaim, claim_idempotency, store_response
from runyard_service.api.middleware.request_ids import trace_id_of
from runyard_service.api.response_size import is_too_large
from runyard_service.api.runs.events import STREAM
from runyard_service.api.runs.files import content_of, create_body
from runyard_service.api.runs.schemas import (
    ApprovalInput,
    CreateRun,
    FeedbackInput,
    MigrateRun,
    RunInput,
)
from runyard_service.api.runs.views import run_view
from runyard_service.api.services import Services
from runyard_service.api.sse import SseFormat
from runyard_service.api.streaming import cancel_from_request, redirect_to_stream, stream_response
from runyard_service.application.input_requests.submit_input import submit_input
from runyard_service.application.runs.delete_run import delete_run
from runyard_service.application.runs.start_run import NewRun, start_run
from runyard_service.domain.events import TERMINAL_TYPES, event_type_of
from runyard_service.domain.request_errors import NotFoundError
from runyard_service.domain.runs import ENDED, Run

router = APIRouter()

_STABLE = {"awaiting_input", *ENDED}
_STABLE_EVENTS = {"run.paused", *TERMINAL_TYPES}


@router.post("/runs")
async def create_run(request: Request, services: ServicesDep, key: WriteKey) -> Response:
    """Start a run: synchronously, in the background, or as a stream."""
    async with create_body(request, services) as (body, uploads):
        if uploads:
            check_scope(key, "files:write")
        content = await content_of(request, body, uploads)
        claim = await claim_idempotency(request, services, key, content)
        if (stored := claim.stored_response) is not None:
            return await _redirect_if_too_large(services, claim.id or "", stored)
        trace_id = trace_id_of(request.scope)
        run = await run_in_threadpool(_start, services, key, body, uploads, trace_id, claim)
        response = await store_response(claim, await _created_response(services, run, body))
        return await _redirect_if_too_large(services, run.id, response)


async def _created_response(services: Services, run: Run, body: CreateRun) -> Response:
    location = {"Location": f"/v1/runs/{run.id}"}
    if body.background:
        return JsonResponse({"data": run_view(run)}, HTTPStatus.ACCEPTED, headers=location)
    if body.stream:
        headers = {"Location": f"/v1/runs/{run.id}/stream", "X-Run-Id": run.id}
        return await stream_response(services, run.id, STREAM, SseFormat(), headers=headers)
    await _wait_until_stable(services, run.id)
    view = await _view(services, run.id)
    if view["status"] in _STABLE:
        return JsonResponse({"data": view})
    return JsonResponse({"data": view}, HTTPStatus.ACCEPTED, headers=location)


async def _wait_until_stable(services: Services, run_id: str) -> None:
    """Wait until the run ends or waits for a person, or for `sync_wait_seconds`."""
    until = time.monotonic() + services.settings.sync_wait_seconds
    async with aclosing(services.followed_runs.follow(run_id, 0, until)) as batches:
        async for batch in batches:
            if batch is not None and event_type_of(batch.lines[-1]) in _STABLE_EVENTS:
                return


def _start(
    services: Services,
    key: AccessKey,
    body: CreateRun,
    uploads: Sequence[NewFile],
    trace_id: str,
    claim: RequestClaim,
) -> Run:
    new_run = NewRun(
        org_id=key.org_id,
        project_id=key.project_id,
        input=body.input,
        user_id=body.user_id,
        session_id=body.session_id,
        file_ids=body.file_ids,
        uploads=uploads,
        run_id=claim.id,
        idempotency_digest=claim.digest,
        author=key.author,
        trace_id=trace_id,
        max_active_runs=services.settings.project_max_active_runs,
        max_org_active_runs=services.settings.org_max_active_runs,
    )
    snapshot = _agent_for(services, key, body.agent)
    return start_run(services.stores, services.orchestrator, snapshot, new_run)


def _agent_for(services: Services, key: AccessKey, requested: str | None) -> Snapshot:
    """Return the requested agent, or else that of the key, or the default agent.

    Raise ForbiddenError if the key has another agent, and InvalidRequestError for an unknown agent.
    """
    check_agent(key, requested, "agent")
    if requested:
        return services.catalog.resolve(requested, field="agent", may_use=key.may_use)
    return services.catalog.agent(key.agent or services.settings.default_agent)


@router.get("/runs/{run_id}")
async def get_run(run_id: RunId, request: Request, services: ServicesDep) -> Response:
    """Return the current state of the run, or a redirect if it is too large for this endpoint."""
    run = await run_to_read(request, services, run_id)
    response = JsonResponse({"data": await _view(services, run.id)})
    return await _redirect_if_too_large(services, run.id, response, ticket_of(request))


async def _redirect_if_too_large(
    services: Services, run_id: str, response: Response, ticket: str | None = None
) -> Response:
    """Return the response, or a redirect to the run at the streaming endpoint."""
    if not is_too_large(services, response):
        return response
    return await redirect_to_stream(services, run_id, f"/v1/runs/{run_id}", "run", ticket)


@router.delete("/runs/{run_id}")
async def delete(run_id: RunId, services: ServicesDep, key: WriteKey) -> Response:
    """Delete an ended run permanently."""
    deleted = await load_deletable_run(services, key, run_id)
    await run_in_threadpool(delete_run, services.stores, deleted)
    return Response(status_code=HTTPStatus.NO_CONTENT)


async def _view(services: Services, run_id: str) -> dict[str, Any]:
    return await run_in_threadpool(_read_view, services, run_id)


def _read_view(services: Services, run_id: str) -> dict[str, Any]:
    run = services.stores.runs.get(run_id)
    if run is None:  # It was just deleted.
        raise NotFoundError
    stores = services.stores
    requests = stores.input_requests.open_of_run(run_id) if run.awaits_input else ()
    return run_view(run, requests, stores.messages.newest_seen([run]).get(run_id))


@router.post("/runs/{run_id}/input")
async def send_input(
    run_id: RunId, request: Request, services: ServicesDep, key: WriteKey
) -> Response:
    """Submit the answer to an input request of the run."""
    run = await load_run(services, key, run_id)
    body = await parse_body(request, RunInput, MAX_ANSWER_BODY_BYTES, unique_names=True)
    input_type: type[FeedbackInput | ApprovalInput] = (
        FeedbackInput if body.type == "human_feedback" else ApprovalInput
    )
    answer = validate(body.model_dump(), input_type).answer()

    claim = await claim_idempotency(request, services, key, body.model_dump(mode="json"))
    if (stored := claim.stored_response) is not None:
        return stored
    await asyncio.to_thread(
        submit_input, services.stores, services.orchestrator, run.id, answer, key.author.id
    )
    services.followed_runs.wake(run.id)
    return await store_response(claim, JsonResponse({"message": "ok"}))


@router.post("/runs/{run_id}/migrate")
async def migrate(
    run_id: RunId, request: Request, services: ServicesDep, key: WriteKey
) -> Response:
    """Move a waiting run to another version of its agent's own code."""
    # Imported here: other requests need no client of Lambda.
    from runyard_service.application.own_code.migrate_run import migrate_run

    run = await load_run(services, key, run_id)
    body = await parse_body(request, MigrateRun)
    claim = await claim_idempotency(request, services, key, body.model_dump(mode="json"))
    if (stored := claim.stored_response) is not None:
        return stored
    prefix = services.settings.agent_function_prefix
    version = await run_in_threadpool(
        migrate_run, services.stores, run.id, body.version, prefix, key.id
    )
    services.followed_runs.wake(run.id)
    return await store_response(claim, JsonResponse({"data": {"code": version.to_json()}}))


@router.post("/runs/{run_id}/cancel")
async def cancel(run_id: RunId, request: Request, services: ServicesDep, key: WriteKey) -> Response:
    """Cancel the run. An ended run is not changed."""
    run = await load_run(services, key, run_id)

    claim = await claim_idempotency(request, services, key, {})
    if (stored := claim.stored_response) is not None:
        return stored
    await cancel_from_request(services, run, key.id)
    return await store_response(claim, JsonResponse({"message": "canceled"}))
