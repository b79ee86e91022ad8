"""Daily caps: what a project, or one agent of it, may spend until midnight UTC.

A reached cap always fails the run, without an input request. Only runs with a cap pay for these
reads and writes.
"""

import asyncio
import logging
from collections.abc import Sequence
from decimal import Decimal
from functools import partial

from runyard_service.adapters.dynamodb.spending_ledger import DailyCap, DailyCapError, Hold
from runyard_service.application.steps.run_context import RunContext
from runyard_service.domain.clock import now, timestamp
from runyard_service.domain.errors import LimitExceededError, RetryableError
from runyard_service.observability.metrics import DAILY_SPEND_SHARE, record

_log = logging.getLogger(__name__)


async def applicable_caps(ctx: RunContext) -> list[DailyCap]:
    """Return the caps that limit the cost of the run."""
    project_limits, run = ctx.deps.stores.project_limits, ctx.journal.run
    default, definition = ctx.deps.project_daily_usd, ctx.snapshot.definition
    project_usd = await asyncio.to_thread(project_limits.daily_usd, run.project_id, default)
    caps = [DailyCap(run.project_id, project_usd)] if project_usd else []
    if definition.limits.usd_per_day is not None:
        caps.append(DailyCap(run.project_id, definition.limits.usd_per_day, definition.key))
    return caps


async def reserve(ctx: RunContext, caps: list[DailyCap], worst_usd: Decimal) -> Hold | None:
    """Hold the maximum cost of the next response; return None without a cap.

    Raise LimitExceededError if it does not fit a cap.
    """
    if not caps:
        return None
    spending, run_id = ctx.deps.stores.spending, ctx.journal.run.id
    try:
        hold = await asyncio.to_thread(spending.reserve, run_id, caps, worst_usd)
    except DailyCapError as error:
        await _measure_spending(ctx, [error.cap])
        owner = f"agent {error.cap.agent}" if error.cap.agent else "project"
        day = now().date()
        raise LimitExceededError(
            f"the next response may not fit what the {owner} has left of its {error.cap.usd:f} USD "
            f"for {day}; the day ends at midnight UTC"
        ) from error
    await _measure_spending(ctx, caps)
    return hold


async def _measure_spending(ctx: RunContext, caps: Sequence[DailyCap]) -> None:
    """Emit how much of each cap is spent and held, with one read per cap.

    Do this before the model request: a worker that is lost here leaves nothing in doubt.
    """
    try:
        for cap in caps:
            totals = partial(ctx.deps.stores.spending.totals, cap, timestamp()[:10])
            committed, spent = await asyncio.to_thread(totals)
            record(
                "daily spend",
                {DAILY_SPEND_SHARE: float(100 * committed / cap.usd)},
                project_id=cap.project_id,
                agent=cap.agent,
                cap_usd=float(cap.usd),
                spent_usd=float(spent),
            )
    except RetryableError:
        _log.warning("daily spend not read", exc_info=True)


async def release(ctx: RunContext) -> None:
    """Release the hold of the run, if no response has settled it."""
    if await applicable_caps(ctx):
        await asyncio.to_thread(ctx.deps.stores.spending.release, ctx.journal.run.id)
