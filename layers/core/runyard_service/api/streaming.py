"""Stream and cancel runs, for both APIs.

Paths, parameter names and frames differ between the APIs. The cursor, the response for an ended
run, and the redirect to the streaming endpoint are the same.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
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
    flags: frozenset[str] = frozenset({"deltas"})
    """The parameters that are true or false: fields of `SseFormat`."""


# The names of the cursor in both APIs, and the one of EventSource polyfills that cannot set
# headers. They add it to the URL when they reconnect, so it is newer than the others.
_CURSORS = ("after_sequence", "after_seq", "lastEventId")


async def resume_stream(
    request: Request, services: Services, run: Run, route: StreamRoute, shape: SseFormat
) -> Response:
    """Stream the events after the cursor of the request. Return 204 after the last event.

    Raise InvalidRequestError for a cursor after the end of an ended run.
    """
    query = _read_query(request, route)
    after, flags = query.after, query.flags
    shape = replace(shape, deltas=flags["deltas"], follow=flags.get("follow", True))
    if run.has_ended or after:
        last, has_ended = await run_in_threadpool(services.stores.log.last, run.id)
        if has_ended and after > last:
            raise InvalidRequestError({query.cursor: f"exceeds the last sequence, {last}"})
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
    query |= {name: "false" for name in ("follow", "deltas") if not getattr(shape, name)}
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


@dataclass(frozen=True)
class _StreamQuery:
    """The cursor of a request, its name, and the values of the route's flags."""

    cursor: str
    after: int
    flags: Mapping[str, bool]


def _read_query(request: Request, route: StreamRoute) -> _StreamQuery:
    """Return what the request asks for. The newest of several cursors takes precedence.

    Raise InvalidRequestError with each unknown or invalid parameter.
    """
    query = request.query_params
    issues = unknown_names(query, {"ticket", *_CURSORS, *route.flags})
    cursor, after = route.cursor, 0
    for name in _CURSORS:
        if query.get(name):
            cursor, after = name, parse_cursor(name, query[name], issues)
    if (last_id := request.headers.get("last-event-id")) is not None:
        cursor, after = "Last-Event-ID", parse_cursor("Last-Event-ID", last_id, issues)
    flags = {name: parse_flag(query, name, issues) for name in sorted(route.flags)}
    if issues:
        raise InvalidRequestError(issues)
    return _StreamQuery(cursor, after, flags)


def parse_cursor(name: str, text: str, issues: dict[str, str]) -> int:
    """Return the sequence of a cursor, 0 for blank and -1. Add an issue if it is invalid."""
    text = text.strip()
    if text in ("", "-1"):
        return 0
    if not text.isascii() or not text.isdecimal() or len(text) > 15:
        issues[name] = "must be an integer of at least 0"
        return 0
    return int(text)


def parse_flag(query: Mapping[str, str], name: str, issues: dict[str, str]) -> bool:
    """Return the value of a flag, true by default. Add an issue if it is invalid."""
    text = query.get(name, "").strip().lower() or "true"
    if text not in ("true", "false", "1", "0"):
        issues[name] = "must be true or false"
    return text not in ("false", "0")


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
