"""A run's stream: through this door, or by the way to the one that can stream."""

from http import HTTPStatus
from urllib.parse import urlencode

from fastapi import Response
from starlette.concurrency import run_in_threadpool

from runyard.bootstrap import Services
from runyard.web import tickets
from runyard.web.sse import event_stream


async def stream_answer(
    services: Services, run_id: str, after: int, headers: dict[str, str] | None = None
) -> Response:
    """The events behind `after`; behind a door that holds bodies back, `303` to the other door.

    The ticket in its address opens it for this run alone, so no header has to survive the way.
    """
    if not services.settings.stream_url:
        return event_stream(services.stores.log, services.settings, run_id, after, headers)
    secret = await run_in_threadpool(services.ticket_secret)
    query = {"ticket": tickets.issue(secret, run_id)} | ({"after_sequence": after} if after else {})
    address = f"{services.settings.stream_url.rstrip('/')}/v1/runs/{run_id}/stream"
    location = {"Location": f"{address}?{urlencode(query)}"}
    return Response(status_code=HTTPStatus.SEE_OTHER, headers={**(headers or {}), **location})
