"""Retries of model and tool calls inside a step.

A wait in the worker costs compute time. Longer waits are left to the state machine, where they cost
nothing. The log has `run.retrying` before each wait. The number of the attempt continues in the
next worker, which reads the log:

    worker A   attempt 1 ✗ ─ retrying 1 ─ attempt 2 ✗ ─ (lost)
    worker B                                             attempt ✗ ─ retrying 2 ─ attempt ✓

An attempt that no event records is not counted. So no number is missing or repeated.
"""

import random
from asyncio import sleep
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from runyard_service.application.steps.run_context import RunContext
from runyard_service.domain.clock import timestamp_in
from runyard_service.domain.event_payloads.runs import RunRetrying
from runyard_service.domain.events import NewEvent
from runyard_service.domain.history.state import MODEL_CALL

ATTEMPTS = 3
_FIRST_DELAY_SECONDS = 0.5
_LONGEST_DELAY_SECONDS = 60.0
# Jitter as a fraction of `retry_after`: throttled workers should not retry at the same time.
_SPREAD = 0.1


@dataclass(frozen=True)
class FailedCall:
    """A call that failed with `code` and is repeated. `call_id` is the id of a tool call."""

    what: Literal["model", "tool"]
    name: str
    code: str
    call_id: str = MODEL_CALL


async def wait_for_retry(
    ctx: RunContext, call: FailedCall, delay: float, before: Sequence[NewEvent] = ()
) -> None:
    """Record the events in `before` and that the call is repeated, then wait for `delay` seconds.

    Raise SupersededError if another worker has recovered the run: then nothing is recorded.
    """
    data = _retrying(ctx, call)
    data["next_at"] = timestamp_in(delay)
    await ctx.journal.append([*before, NewEvent(type="run.retrying", data=data)])
    await sleep(delay)


async def leave_to_state_machine(ctx: RunContext, call: FailedCall) -> None:
    """Record that the call is repeated in another invocation, whose time Step Functions chooses."""
    await ctx.journal.append([NewEvent(type="run.retrying", data=_retrying(ctx, call))])


def _retrying(ctx: RunContext, call: FailedCall) -> RunRetrying:
    data: RunRetrying = {
        "id": ctx.journal.run.id,
        "object": "run",
        "what": call.what,
        "name": call.name,
        "attempt": ctx.history.failed_attempts.get(call.call_id, 0) + 1,
        "code": call.code,
    }
    if call.call_id:
        data["tool_call_id"] = call.call_id
    return data


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
