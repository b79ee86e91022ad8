"""The time that a person has to answer, and what becomes of a question when it is over."""

import asyncio
from collections.abc import Sequence
from math import inf

from runyard_service.agents.definitions.models import Limits
from runyard_service.application.steps.next_action import Ask
from runyard_service.application.steps.run_context import Step
from runyard_service.domain.errors import InputExpiredError
from runyard_service.domain.events import Draft
from runyard_service.domain.input_requests import InputRequest


def wait_for(limits: Limits, asks: Sequence[Ask]) -> float:
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


async def expire(step: Step) -> list[InputRequest]:
    """Settle the questions whose time is over; gives those that still wait for an answer.

    Raises InputExpiredError where a question that nobody answered fails the run.
    """
    stores, run = step.worker.stores, step.journal.run
    requests: Sequence[InputRequest] = ()
    if step.history.open_questions:
        requests = await asyncio.to_thread(stores.input_requests.open_of_run, run.id)
    waiting = [request for request in requests if not request.is_overdue]
    for request in requests:
        if request not in waiting:
            still_open = len(step.history.open_questions) - 1
            data = {"id": request.id, "on_expiry": request.on_expiry}
            await step.append(
                [Draft(type="input_request.expired", data=data)],
                [
                    stores.input_requests.settle_change(request, "expired"),
                    stores.runs.answered_change(run, still_open),
                ],
            )
    if step.history.lapsed is not None:
        call = step.history.lapsed.call
        if call is None:
            raise InputExpiredError("nobody said in time whether the run's limit may be raised")
        raise InputExpiredError(f"nobody answered {call.name} in time")
    return waiting
