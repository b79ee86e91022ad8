"""Runs in threads: create, read, cancel and answer runs."""

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.convertors import StringConvertor, register_url_convertor

from runyard_service.adapters.dynamodb.access_keys import AccessKey
from runyard_service.api.auth import check_agent, load_run
from runyard_service.api.dependencies import RunId, ServicesDep
from runyard_service.api.http import MAX_ANSWER_BODY_BYTES, JsonResponse, parse_body
from runyard_service.api.idempotency import RequestClaim, claim_idempotency, store_response
from runyard_service.api.middleware.request_ids import trace_id_of
from runyard_service.api.services import Services
from runyard_service.api.streaming import cancel_from_request
from runyard_service.api.threads.dependencies import (
    ReadKey,
    ThreadId,
    WriteKey,
    in_project,
    thread_of,
)
from runyard_service.api.threads.parse_answer import answer_by_content
from runyard_service.api.threads.schemas import CancelRun, CreateThreadRun, SubmitInput
from runyard_service.api.threads.views import run_view
from runyard_service.application.runs.start_run import NewRun, start_run
from runyard_service.domain.runs import Run
from runyard_service.domain.threads import Thread

router = APIRouter()


class _IdConvertor(StringConvertor):
    """An id in a path, without colons: `{run_id}:cancel` is a separate path."""

    regex = "[^/:]+"


register_url_convertor("id", _IdConvertor())


@router.post("/threads/{thread_id}/runs")
async def create_run(
    thread_id: ThreadId, request: Request, services: ServicesDep, key: WriteKey
) -> Response:
    """Start a run that answers the messages of the thread."""
    body = await parse_body(request, CreateThreadRun, optional=True)
    thread = await thread_of(services, key, thread_id)
    key = in_project(key, thread.project_id)
    claim = await claim_idempotency(request, services, key, body.model_dump(mode="json"))
    if (stored := claim.stored_response) is not None:
        return stored
    trace = trace_id_of(request.scope)
    run = await run_in_threadpool(_start, services, key, thread, body, trace, claim)
    response = JsonResponse({"run_id": run.id, "trace_id": run.trace_id}, 201)
    return await store_response(claim, response)


def _start(
    services: Services,
    key: AccessKey,
    thread: Thread,
    body: CreateThreadRun,
    trace: str,
    claim: RequestClaim,
) -> Run:
    settings = services.settings
    check_agent(key, body.persona_id, "persona_id")
    snapshot = services.catalog.resolve(
        body.persona_id or key.agent or settings.default_persona,
        may_use=key.may_use,
        route_id=body.route_id or None,
        model=body.model or None,
        reasoning=body.reasoning_mode,
    )
    new_run = NewRun(
        org_id=thread.org_id,
        project_id=thread.project_id,
        thread_id=thread.id,
        run_id=claim.id,
        idempotency_digest=claim.digest,
        author=key.author,
        trace_id=trace,
        max_active_runs=settings.project_max_active_runs,
        max_org_active_runs=settings.org_max_active_runs,
    )
    return start_run(services.stores, services.orchestrator, snapshot, new_run)


@router.get("/runs/{run_id:id}")
async def get_run(run_id: RunId, services: ServicesDep, key: ReadKey) -> Response:
    """Return the run."""
    return JsonResponse(run_view(await load_run(services, key, run_id)))


@router.post("/runs/{run_id}:cancel")
async def cancel(run_id: RunId, request: Request, services: ServicesDep, key: WriteKey) -> Response:
    """Cancel the run. An ended run is not changed."""
    body = await parse_body(request, CancelRun, optional=True)
    run = await load_run(services, key, run_id)
    key = in_project(key, run.project_id)
    claim = await claim_idempotency(request, services, key, body.model_dump(mode="json"))
    if (stored := claim.stored_response) is not None:
        return stored
    await cancel_from_request(services, run, key.id, body.model_dump(exclude_none=True))
    return await store_response(claim, JsonResponse({"ok": True}))


@router.post("/runs/{run_id}/input")
async def send_input(
    run_id: RunId, request: Request, services: ServicesDep, key: WriteKey
) -> Response:
    """Answer the open input request, or the one that `request_id` names."""
    body = await parse_body(request, SubmitInput, MAX_ANSWER_BODY_BYTES, unique_names=True)
    run = await load_run(services, key, run_id)
    key = in_project(key, run.project_id)
    claim = await claim_idempotency(request, services, key, body.model_dump(mode="json"))
    if (stored := claim.stored_response) is not None:
        return stored
    await run_in_threadpool(answer_by_content, services, run, body, key.author.id, claim)
    services.followed_runs.wake(run.id)
    return await store_response(claim, JsonResponse({"ok": True}))
