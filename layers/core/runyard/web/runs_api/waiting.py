"""The wait of a synchronous create: until the run ends or asks, or the time is up."""

import time

from runyard.bootstrap import Services
from runyard.domain.events import TERMINAL_TYPES, line_type
from runyard.engine.follow_events import follow_events
from runyard.web.sse import pace_of


async def has_settled(services: Services, run_id: str) -> bool:
    """Whether the run came to its end or to a question in time."""
    settings = services.settings
    until = time.monotonic() + settings.sync_wait_seconds
    async for batch in follow_events(services.stores.log, run_id, 0, pace_of(settings), until):
        if batch is not None and line_type(batch.lines[-1]) in {"run.paused", *TERMINAL_TYPES}:
            return True
    return False
