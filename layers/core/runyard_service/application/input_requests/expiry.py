"""The time that a person has to answer, and the expiry of input requests."""

import asyncio
from collections.abc import Sequence
from math import inf

from runyard_service.agents.definitions.models import Limits
from runyard_service.application.steps.async_journal import AsyncJournal
from runyard_service.application.steps.tool_calls.actions import KeepWaiting, Sleep
from runyard_service.application.steps.tool_calls.requested_input import RequestInput
from runyard_service.domain.clock import seconds_until
from runyard_service.domain.errors import InputExpiredError
from runyard_service.domain.event_payloads.input_requests import InputExpired
from runyard_service.domain.events import NewEvent
from runyard_service.domain.input_requests import InputRequest


def wait_seconds_for(limits: Limits, waits: Sequence[RequestInput | KeepWaiting | Sleep]) -> float:
    """Return the seconds of the shortest of these waits, or without any, of a limit request."""
    asks = [wait for wait in waits if isinstance(wait, RequestInput)]
    times = [limits.time_to_answer(ask.expires_in, ask.on_expiry) for ask in asks]
    if not waits:
        times = [limits.time_to_answer(None, "keep_waiting")]
    sleeps = [seconds_until(wait.until) for wait in waits if isinstance(wait, Sleep)]
    expiries = [
        # One second more than the input request, which expires relative to its creation.
        seconds + 1
        for seconds, on_expiry in times
        if seconds is not None and on_expiry != "keep_waiting"
    ]
    return min([*sleeps, *expiries], default=inf)


async def close_expired(journal: AsyncJournal) -> list[InputRequest]:
    """Close the open requests that have expired, and return those that still wait for an answer.

    Raise InputExpiredError if an expired request fails the run.
    """
    stores, run, history = journal.stores, journal.run, journal.history
    requests: Sequence[InputRequest] = ()
    if history.open_requests:
        requests = await asyncio.to_thread(stores.input_requests.open_of_run, run.id)
    waiting = [request for request in requests if not request.is_overdue]
    for request in requests:
        if request not in waiting:
            still_open = len(history.open_requests) - 1
            data: InputExpired = {"id": request.id, "on_expiry": request.on_expiry}
            await journal.append(
                [NewEvent(type="input_request.expired", data=data)],
                [
                    stores.input_requests.close_change(request, "expired"),
                    stores.runs.input_closed_change(run, still_open),
                ],
            )
    if expired := history.expired_and_failing:
        if expired.call is None:
            purpose = "to use changed tools" if expired.is_about_tools else "to raise a limit"
            raise InputExpiredError(f"input request {purpose} expired")
        raise InputExpiredError(f"input request for {expired.call.name} expired")
    return waiting
