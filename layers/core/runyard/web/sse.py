"""Server-Sent Events: a run's log as frames, with heartbeat and a bounded life."""

import time
from collections.abc import AsyncIterator, Callable

from starlette.responses import StreamingResponse

from runyard.domain.events import line_type
from runyard.engine.follow_events import TailPace, follow_events
from runyard.settings import Settings
from runyard.store.event_log import Batch, EventLog

HEADERS = {
    # no-transform: an intermediary that compresses would hold frames back.
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}


def runs_api_frames(batch: Batch) -> bytes:
    """A batch as the Runs API frames it; the lines are stored as they go on the wire."""
    return "".join(
        f"id: {sequence}\nevent: {line_type(line)}\ndata: {line}\n\n"
        for sequence, line in enumerate(batch.lines, start=batch.first)
    ).encode()


def event_stream(
    log: EventLog,
    settings: Settings,
    run_id: str,
    after: int,
    headers: dict[str, str] | None = None,
    frames: Callable[[Batch], bytes] = runs_api_frames,
) -> StreamingResponse:
    """The run's events behind `after`, live, until the end or the connection's age."""
    return StreamingResponse(
        _body(log, settings, run_id, after, frames),
        media_type="text/event-stream",
        headers={**HEADERS, **(headers or {})},
    )


def pace_of(settings: Settings) -> TailPace:
    """How this installation's tails read."""
    return TailPace(settings.tail_min_ms / 1000, settings.tail_max_ms / 1000)


async def _body(
    log: EventLog, settings: Settings, run_id: str, after: int, frames: Callable[[Batch], bytes]
) -> AsyncIterator[bytes]:
    # Single lines and no blocks: some clients take a block without data for an event.
    yield b"retry: 2000\n"
    started = last_sent = time.monotonic()
    until = started + settings.stream_max_seconds
    async for batch in follow_events(log, run_id, after, pace_of(settings), until):
        if batch is not None:
            yield frames(batch)
            if batch.is_end:
                return
            last_sent = time.monotonic()
        elif time.monotonic() - last_sent >= settings.stream_heartbeat_seconds:
            yield b": heartbeat\n"
            last_sent = time.monotonic()
    yield b": this connection has reached its age; come back with Last-Event-ID\n"
