"""How often a call of a model or a tool is repeated inside a step, and how long it waits before.

What is waited for here is paid for; beyond it the state machine waits, which costs nothing.
"""

import random

from runyard_service.application.steps.run_context import RunContext

ATTEMPTS = 3
_FIRST_DELAY_SECONDS = 0.5
_LONGEST_DELAY_SECONDS = 60.0
# Of the delay that was asked for: what was turned away together need not come back together.
_SPREAD = 0.1


def next_delay(
    ctx: RunContext, attempt: int, seconds: float, retry_after: float | None
) -> float | None:
    """Seconds to wait after this attempt, from 1; None where it was the last one here.

    `seconds` is how long the next attempt may take, `retry_after` what was asked for.
    """
    delay = _FIRST_DELAY_SECONDS * 2**attempt * random.random()
    if retry_after is not None:
        delay = max(delay, retry_after * (1 + _SPREAD * random.random()))
    is_last = attempt >= ATTEMPTS or delay > _LONGEST_DELAY_SECONDS
    return None if is_last or not ctx.has_time_for(delay + seconds) else delay
