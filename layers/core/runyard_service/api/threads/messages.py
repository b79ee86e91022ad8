"""`/v1/threads/{thread_id}/messages`: the messages of a thread."""

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from runyard_service.api.dependencies import ServicesDep
from runyard_service.api.http import JsonResponse, parse_body
from runyard_service.api.idempotency import claim_idempotency
from runyard_service.api.response_size import Row, fitting_rows
from runyard_service.api.services import Services
from runyard_service.api.threads.dependencies import (
    ReadKey,
    ThreadId,
    WriteKey,
    in_project,
    thread_of,
)
from runyard_service.api.threads.paging import page_query, page_response
from runyard_service.api.threads.schemas import CreateMessage
from runyard_service.api.threads.views import message_view
from runyard_service.domain.request_errors import InvalidRequestError
from runyard_service.domain.threads import Thread

router = APIRouter()

# Clients usually request the whole conversation.
DEFAULT_LIMIT = 200
MAX_LIMIT = 1000
# JSON may escape each byte of the content as six bytes.
MAX_MESSAGE_BODY_BYTES = 2 * 1024 * 1024


@router.post("/threads/{thread_id}/messages")
async def create_message(
    thread_id: ThreadId, request: Request, services: ServicesDep, key: WriteKey
) -> Response:
    """Append a user message. It does not start a run."""
    body = await parse_body(request, CreateMessage, MAX_MESSAGE_BODY_BYTES)
    thread = await thread_of(services, key, thread_id)
    key = in_project(key, thread.project_id)
    claim = await claim_idempotency(request, services, key, body.model_dump(mode="json"))
    message = await run_in_threadpool(
        services.stores.messages.add, thread.id, "user", body.content, claim.creation
    )
    return claim.created_response(JsonResponse(message_view(message), 201))


@router.get("/threads/{thread_id}/messages")
async def list_messages(
    thread_id: ThreadId, request: Request, services: ServicesDep, key: ReadKey
) -> Response:
    """Return a page of the messages, oldest first. `after` is the number of messages to skip."""
    query, limit = page_query(request, frozenset({"after"}), DEFAULT_LIMIT, MAX_LIMIT)
    after = _position(query.get("after", "0"))
    thread = await thread_of(services, key, thread_id)
    rows = await run_in_threadpool(_read, services, thread, after, limit)
    end = after + len(rows)
    next_query = {"after": str(end)} if rows and end < thread.messages else None
    return page_response(request, rows, next_query)


def _position(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 12:
        raise InvalidRequestError({"after": "must be an integer of at least 0"})
    return int(text)


def _read(services: Services, thread: Thread, after: int, limit: int) -> list[Row]:
    until = min(after + limit, thread.messages)
    return fitting_rows(map(message_view, services.stores.messages.read(thread.id, after, until)))
