"""`/v1/threads`: create, read, rename and delete threads."""

from collections.abc import Mapping

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from runyard_service.adapters.dynamodb.access_keys import AccessKey
from runyard_service.api.auth import projects_of
from runyard_service.api.dependencies import ServicesDep
from runyard_service.api.http import JsonResponse, parse_body
from runyard_service.api.idempotency import claim_idempotency
from runyard_service.api.services import Services
from runyard_service.api.threads.dependencies import (
    ReadKey,
    ThreadId,
    WriteKey,
    found_thread,
    project_of,
    thread_of,
)
from runyard_service.api.threads.paging import page_query, page_response
from runyard_service.api.threads.schemas import CreateThread, UpdateThread
from runyard_service.api.threads.views import thread_view
from runyard_service.domain.clock import timestamp
from runyard_service.domain.ids import new_id, parse_id
from runyard_service.domain.request_errors import InvalidRequestError, ThreadNotFoundError
from runyard_service.domain.threads import Thread

router = APIRouter()


@router.post("/threads")
async def create_thread(request: Request, services: ServicesDep, key: WriteKey) -> Response:
    """Create an empty thread."""
    body = await parse_body(request, CreateThread, optional=True)
    project_id = project_of(key)
    claim = await claim_idempotency(request, services, key, body.model_dump(mode="json"))
    at = timestamp()
    thread = Thread(
        id=claim.id or new_id(),
        project_id=project_id,
        org_id=key.org_id,
        title=body.title,
        created_at=at,
        updated_at=at,
    )
    thread = await run_in_threadpool(services.stores.threads.create, thread, claim.creation)
    return claim.created_response(JsonResponse(thread_view(thread), 201))


@router.get("/threads")
async def list_threads(request: Request, services: ServicesDep, key: ReadKey) -> Response:
    """Return a page of threads, newest first."""
    query, limit = page_query(request, frozenset({"before"}))
    threads = await run_in_threadpool(_newest, services, key, query, limit + 1)
    rows = [thread_view(thread) for thread in threads[:limit]]
    next_query = {"before": threads[limit - 1].id} if len(threads) > limit else None
    return page_response(request, rows, next_query)


def _newest(
    services: Services, key: AccessKey, query: Mapping[str, str], limit: int
) -> list[Thread]:
    before = None
    if "before" in query:
        try:
            before = found_thread(
                services, key, parse_id(query["before"]) or "", include_deleting=True
            )
        except ThreadNotFoundError as error:
            raise InvalidRequestError({"before": "is not the id of a thread"}) from error
    return services.stores.threads.newest(projects_of(services, key), before, limit)


@router.get("/threads/{thread_id}")
async def get_thread(thread_id: ThreadId, services: ServicesDep, key: ReadKey) -> Response:
    """Return the thread."""
    return JsonResponse(thread_view(await thread_of(services, key, thread_id)))


@router.patch("/threads/{thread_id}")
async def update_thread(
    thread_id: ThreadId, request: Request, services: ServicesDep, key: WriteKey
) -> Response:
    """Change the title of the thread."""
    body = await parse_body(request, UpdateThread)
    thread = await thread_of(services, key, thread_id)
    renamed = await run_in_threadpool(services.stores.threads.rename, thread, body.title)
    return JsonResponse(thread_view(renamed))


@router.delete("/threads/{thread_id}")
async def delete_thread(thread_id: ThreadId, services: ServicesDep, key: WriteKey) -> Response:
    """Delete the thread and its messages. Its runs are not deleted. Repeat it for a day."""
    await run_in_threadpool(_delete, services, key, thread_id)
    return Response(status_code=204)


def _delete(services: Services, key: AccessKey, thread_id: str) -> None:
    thread = found_thread(services, key, thread_id, include_deleting=True)
    services.stores.threads.delete(thread.id)
