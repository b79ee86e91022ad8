"""The time that a person has to answer, and what becomes of a question when it is over."""

import asyncio
from collections.abc import Sequence
from math import inf

from runyard_service.agents.definitions.models import Limits
from runyard_service.application.steps.next_action import RequestInput
from runyard_service.application.steps.run_context import RunContext
from runyard_service.domain.errors import InputExpiredError
from runyard_service.domain.events import NewEvent
from runyard_service.domain.input_requests import InputRequest
from runyard_service.domain.steps import InputRequestState


def wait_seconds_for(limits: Limits, asks: Sequence[RequestInput]) -> float:
    """Seconds to wait for what is about to be asked, or, with nothing to ask, about a limit."""
    times = [limits.time_to_answer(ask.expires_in, ask.on_expiry) for ask in asks]
    times = times or [limits.time_to_answer(None, "keep_waiting")]
    return min(
        (
            # A little longer than the question itself, which expires from the moment of asking on.
            seconds + 1
            for seconds, on_expiry in times
            if seconds is not None and on_expiry != "keep_waiting"
        ),
        default=inf,
    )


async def close_expired(ctx: RunContext) -> list[InputRequest]:
    """Settle the questions whose time is over; gives those that still wait for an answer.

    Raises InputExpiredError where a question that nobody answered fails the run.
    """
    stores, run_id = ctx.deps.stores, ctx.journal.run.id
    requests: Sequence[InputRequest] = ()
    if ctx.history.open_requests:
        requests = await asyncio.to_thread(stores.input_requests.open_of_run, run_id)
    waiting = [request for request in requests if not request.is_overdue]
    for request in requests:
        if request not in waiting:
            still_open = len(ctx.history.open_requests) - 1
            data = {"id": request.id, "on_expiry": request.on_expiry}
            await ctx.append(
                [NewEvent(type="input_request.expired", data=data)],
                [
                    stores.input_requests.settle_change(request, "expired"),
                    stores.runs.answered_change(run_id, still_open, ctx.history.last + 1),
                ],
            )
    if ctx.history.expired_and_failing:
        raise _lapsed(ctx.history.expired_and_failing)
    return waiting


def _lapsed(question: InputRequestState) -> InputExpiredError:
    if question.call is None:
        return InputExpiredError("nobody said in time whether the run's limit may be raised")
    return InputExpiredError(f"nobody answered {question.call.name} in time")
