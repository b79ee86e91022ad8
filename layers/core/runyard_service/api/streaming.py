"""Stream and cancel runs, for both APIs.

Paths, parameter names and frames differ between the APIs. The cursor, the response for an ended
run, and the redirect to the streaming endpoint are the same.
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
from runyard_service.api.http import unknown_names
from runyard_service.api.rate_limits import OpenStreams
from runyard_service.api.services import Services
from runyard_service.api.sse import SseFormat, TimeLimitedResponse, event_stream
from runyard_service.application.runs.cancel_run import cancel_run
from runyard_service.domain.request_errors import InvalidRequestError
from runyard_service.domain.runs import Run


@dataclass(frozen=True)
class StreamRoute:
    """The path of a stream, with a `{run_id}` placeholder, and the name of its cursor."""

    path: str
    cursor: str
    parameters: frozenset[str] = frozenset()
    """Further query parameters of the route."""


# The names of the cursor in both APIs, and the one of EventSource polyfills that cannot set
# headers. They add it to the URL when they reconnect, so it is newer than the others.
_CURSORS = ("after_sequence", "after_seq", "lastEventId")


async def resume_stream(
    request: Request, services: Services, run: Run, route: StreamRoute, shape: SseFormat
) -> Response:
    """Stream the events after the cursor of the request. Return 204 after the last event.

    Raise InvalidRequestError for a cursor after the end of an ended run.
    """
    name, after = _cursor(request, route)
    if run.has_ended or after:
        last, has_ended = await run_in_threadpool(services.stores.log.last, run.id)
        if has_ended and after > last:
            raise InvalidRequestError({name: f"exceeds the last sequence, {last}"})
        if has_ended and after == last:
            return Response(status_code=HTTPStatus.NO_CONTENT)
    ticket = ticket_of(request)
    response = await stream_response(services, run.id, route, shape, after=after, ticket=ticket)
    if isinstance(response, TimeLimitedResponse):
        streams: OpenStreams = request.app.state.open_streams
        limit = services.settings.key_max_streams
        response.close = streams.open(request.state.stream_owner, limit)
    return response


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
    """Stream the events after `after`, or redirect with 303 if this endpoint buffers bodies."""
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
    """Return a 303 redirect to this path of the streaming endpoint.

    The URL contains a ticket for this run, because clients may drop headers on redirects. A
    caller's own ticket is reused: a ticket never yields a new ticket.
    """
    if ticket is None:
        ticket = await run_in_threadpool(tickets.issue, services.ticket_keys, run_id, scope)
    url = _url(services.settings.stream_url, path, ticket, query or {})
    all_headers = {**(headers or {}), "Location": url}
    return Response(status_code=HTTPStatus.SEE_OTHER, headers=all_headers)


async def ticket_view(
    request: Request, services: Services, run_id: str, route: StreamRoute
) -> dict[str, str]:
    """Return a ticket for the stream of the run, its expiry, and the URL that includes it."""
    ticket = await run_in_threadpool(tickets.issue, services.ticket_keys, run_id)
    return {
        "ticket": ticket,
        "expires_at": tickets.expires_at(ticket),
        "url": _url(stream_url_of(request, services), route.path.format(run_id=run_id), ticket, {}),
    }


def stream_url_of(request: Request, services: Services) -> str:
    """Return the base URL of the endpoint that streams: by default that of this request."""
    return (services.settings.stream_url or str(request.base_url)).rstrip("/")


def _url(base_url: str, path: str, ticket: str, query: Mapping[str, object]) -> str:
    return f"{base_url.rstrip('/')}{path}?{urlencode({'ticket': ticket, **query})}"


def _cursor(request: Request, route: StreamRoute) -> tuple[str, int]:
    """Return the cursor of the request and its name. The newest one takes precedence.

    Raise InvalidRequestError for each unknown parameter, or if a cursor is invalid.
    """
    query = request.query_params
    if issues := unknown_names(query, {"ticket", *_CURSORS, *route.parameters}):
        raise InvalidRequestError(issues)
    found = route.cursor, 0
    for name in _CURSORS:
        if query.get(name):
            found = name, _sequence(name, query[name])
    if "last-event-id" in request.headers:
        found = "Last-Event-ID", _sequence("Last-Event-ID", request.headers["last-event-id"])
    return found


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
    """Cancel the run. An ended run is not changed."""
    # Also for a canceled run: its execution may still be active.
    if run.status not in ("completed", "failed"):
        await asyncio.to_thread(
            cancel_run, services.stores, services.orchestrator, run.id, requested_by, remarks
        )
        services.followed_runs.wake(run.id)
