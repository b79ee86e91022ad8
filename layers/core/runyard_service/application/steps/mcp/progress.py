"""Write the progress of a call to the log, at most once a second."""

import asyncio
import time

from runyard_service.agents.mcp.base import Progress
from runyard_service.application.steps.run_context import RunContext
from runyard_service.domain.event_payloads.tool_calls import ToolCallProgress
from runyard_service.domain.events import NewEvent

_SECONDS_BETWEEN = 1.0


class ProgressWriter:
    """Write what the server reports, in a background task; what comes too soon is left out."""

    def __init__(self, ctx: RunContext, call_id: str) -> None:
        self._ctx = ctx
        self._call_id = call_id
        self._next_at = 0.0
        self._writing: asyncio.Task[None] | None = None

    def __call__(self, progress: Progress) -> None:
        """Write the progress, unless a write is in flight or the last is less than 1 s ago."""
        now = time.monotonic()
        if now < self._next_at or (self._writing and not self._writing.done()):
            return
        if self._writing:
            self._writing.result()
        self._next_at = now + _SECONDS_BETWEEN
        event = NewEvent(type="agent.tool_call.progress", data=_data(self._call_id, progress))
        self._writing = asyncio.create_task(self._ctx.journal.append([event]))

    async def close(self) -> None:
        """Wait for the write in flight. Raise its error, if it failed."""
        if self._writing:
            await self._writing


def _data(call_id: str, progress: Progress) -> ToolCallProgress:
    data: ToolCallProgress = {"id": call_id, "progress": progress.progress}
    if progress.total is not None:
        data["total"] = progress.total
    if progress.message is not None:
        data["message"] = progress.message
    return data
