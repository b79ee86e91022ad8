"""Retries of model and tool calls inside a step.

A wait in the worker costs compute time. Longer waits are left to the state machine, where they cost
nothing.
"""

import random

from runyard_service.application.steps.run_context import RunContext

ATTEMPTS = 3
_FIRST_DELAY_SECONDS = 0.5
_LONGEST_DELAY_SECONDS = 60.0
# Jitter as a fraction of `retry_after`: throttled workers should not retry at the same time.
_SPREAD = 0.1


def next_delay(
    ctx: RunContext, attempt: int, seconds: float, retry_after: float | None
) -> float | None:
    """Return the seconds to wait after this attempt (from 1); None if it was the last.

    The next attempt may take `seconds`. `retry_after` is the delay that the service requested.
    """
    delay = _FIRST_DELAY_SECONDS * 2**attempt * random.random()
    if retry_after is not None:
        delay = max(delay, retry_after * (1 + _SPREAD * random.random()))
    is_last = attempt >= ATTEMPTS or delay > _LONGEST_DELAY_SECONDS
    return None if is_last or not ctx.has_time_for(delay + seconds) else delay
