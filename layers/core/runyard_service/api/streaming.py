"""A run's stream and its cancel, which both APIs have.

Both APIs stream under their own paths and in their own words. The cursor, the end of an ended run,
and the redirect to the endpoint that can stream are the same.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool

from runyard_service.api import tickets
from runyard_service.api.auth import ticket_of
from runyard_service.api.services import Services
from runyard_service.api.sse import SseFormat, event_stream
from runyard_service.application.runs.cancel_run import cancel_run
from runyard_service.domain.errors import InvalidRequestError
from runyard_service.domain.runs import Run


@dataclass(frozen=True)
class StreamRoute:
    """Where an API has a run's stream, with a place for `{run_id}`, and its cursor's name."""

    path: str
    cursor: str


async def resume_stream(
    request: Request, services: Services, run: Run, route: StreamRoute, shape: SseFormat
) -> Response:
    """The run's events behind the request's cursor; 204 where nothing is left of an ended run.

    Raises InvalidRequestError for a cursor past the end of an ended run.
    """
    after = _cursor(request, route.cursor)
    if run.has_ended or after:
        last, has_ended = await run_in_threadpool(services.stores.log.last, run.id)
        if has_ended and after > last:
            raise InvalidRequestError({route.cursor: f"exceeds the last sequence, {last}"})
        if has_ended and after == last:
            return Response(status_code=HTTPStatus.NO_CONTENT)
    ticket = ticket_of(request)
    return await stream_response(services, run.id, route, shape, after=after, ticket=ticket)


async def stream_response(
    services: Services,
    run_id: str,
    route: StreamRoute,
    shape: SseFormat,
    *,
    after: int = 0,
    headers: Mapping[str, str] | None = None,
    ticket: str | None = None,
) -> Response:
    """The events behind `after`; behind a door that holds bodies back, `303` to the other door."""
    settings, headers = services.settings, headers or {}
    if not settings.stream_url:
        return event_stream(services.followed_runs, settings, run_id, after, shape, headers)
    query: dict[str, object] = {route.cursor: after} if after else {}
    if not shape.follow:
        query["follow"] = "false"
    path = route.path.format(run_id=run_id)
    return await redirect_to_stream(
        services, run_id, path, "stream", ticket, query=query, headers=headers
    )


async def redirect_to_stream(
    services: Services,
    run_id: str,
    path: str,
    scope: tickets.Scope,
    ticket: str | None,
    *,
    query: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """`303` to this path of the door that can stream.

    The ticket in its address opens it for this run alone, so no header has to survive the way. It
    is the caller's own where there is one: nobody has a ticket renewed by a ticket.
    """
    if ticket is None:
        ticket = await run_in_threadpool(tickets.issue, services.ticket_keys, run_id, scope)
    address = _address(services.settings.stream_url, path, ticket, query or {})
    told = {**(headers or {}), "Location": address}
    return Response(status_code=HTTPStatus.SEE_OTHER, headers=told)


async def ticket_view(
    request: Request, services: Services, run_id: str, route: StreamRoute
) -> dict[str, str]:
    """A ticket for the run's stream, when it expires, and the address that it makes whole."""
    ticket = await run_in_threadpool(tickets.issue, services.ticket_keys, run_id)
    base_url = services.settings.stream_url or str(request.base_url)
    return {
        "ticket": ticket,
        "expires_at": tickets.expires_at(ticket),
        "url": _address(base_url, route.path.format(run_id=run_id), ticket, {}),
    }


def _address(base_url: str, path: str, ticket: str, query: Mapping[str, object]) -> str:
    return f"{base_url.rstrip('/')}{path}?{urlencode({'ticket': ticket, **query})}"


def _cursor(request: Request, name: str) -> int:
    """Where the stream begins: the header wins, but both must make sense."""
    after = _sequence(name, request.query_params.get(name, ""))
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


async def cancel_from_request(
    services: Services, run: Run, requested_by: str, remarks: Mapping[str, Any] | None = None
) -> None:
    """End the run as canceled; one that has ended stays as it is."""
    # Also one that is canceled: its execution may not have been stopped.
    if run.status not in ("completed", "failed"):
        await asyncio.to_thread(
            cancel_run, services.stores, services.orchestrator, run.id, requested_by, remarks
        )
        services.followed_runs.wake(run.id)
