"""The wait of a synchronous create: until the run ends or asks, or the time is up."""

import time
from contextlib import aclosing

from runyard_service.api.services import Services
from runyard_service.domain.events import TERMINAL_TYPES, line_type

_SETTLING = {"run.paused", *TERMINAL_TYPES}


async def wait_until_settled(services: Services, run_id: str) -> None:
    """Return when the run has come to its end or to a question, or has not in time."""
    until = time.monotonic() + services.settings.sync_wait_seconds
    async with aclosing(services.followed_runs.follow(run_id, 0, until)) as batches:
        async for batch in batches:
            if batch is not None and line_type(batch.lines[-1]) in _SETTLING:
                return
