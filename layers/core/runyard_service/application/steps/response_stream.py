"""Read the stream of a response until the active time of the run is over."""

import asyncio
from collections.abc import AsyncGenerator

from runyard_service.agents.models.base import ModelEvent
from runyard_service.application.steps.run_context import RunContext

# The message of the ModelUnavailableError for a stream that has no response.
ENDED_EARLY = "the model's stream ended without a response"


def active_deadline(ctx: RunContext) -> float | None:
    """Return when the active time is over, on the clock of the event loop; None without a limit.

    The run stays active during the response, so the deadline is valid for the whole response.
    """
    left = ctx.budget.left("wall_clock_seconds")
    return None if left is None else asyncio.get_running_loop().time() + float(left)


async def next_event(
    ctx: RunContext, stream: AsyncGenerator[ModelEvent, None], deadline: float | None
) -> ModelEvent | None:
    """Return the next event, None at the end. The deadline cancels only this wait, not a write.

    Raise LimitExceededError if the active time is over.
    """
    if deadline is None:
        return await anext(stream, None)
    limit = asyncio.timeout_at(deadline)
    try:
        async with limit:
            return await anext(stream, None)
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise ctx.budget.limit_error("wall_clock_seconds", "the run has worked for") from error
