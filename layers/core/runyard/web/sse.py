"""Server-Sent Events: a run's log as frames, with heartbeat and a bounded life."""

import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

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


@dataclass(frozen=True)
class StreamShape:
    """How an API shows a log: its frames, and the comment that it sends in times of silence.

    Where it does not `follow`, the stream closes behind what is there.
    """

    frames: Callable[[Batch], bytes] = runs_api_frames
    heartbeat: bytes = b": heartbeat\n"
    follow: bool = True


def event_stream(
    log: EventLog,
    settings: Settings,
    run_id: str,
    after: int,
    shape: StreamShape,
    headers: Mapping[str, str],
) -> StreamingResponse:
    """The run's events behind `after`, live, until the end or the connection's age."""
    return StreamingResponse(
        _body(log, settings, run_id, after, shape),
        media_type="text/event-stream",
        headers={**HEADERS, **headers},
    )


def pace_of(settings: Settings) -> TailPace:
    """How this installation's tails read."""
    return TailPace(settings.tail_min_ms / 1000, settings.tail_max_ms / 1000)


async def _body(
    log: EventLog, settings: Settings, run_id: str, after: int, shape: StreamShape
) -> AsyncIterator[bytes]:
    # Single lines and no blocks: some clients take a block without data for an event.
    yield b"retry: 2000\n"
    started = last_sent = time.monotonic()
    until = started + (settings.stream_max_seconds if shape.follow else 0)
    async for batch in follow_events(log, run_id, after, pace_of(settings), until):
        if batch is not None:
            yield shape.frames(batch)
            if batch.is_end:
                return
            last_sent = time.monotonic()
        elif time.monotonic() - last_sent >= settings.stream_heartbeat_seconds:
            yield shape.heartbeat
            last_sent = time.monotonic()
    if shape.follow:
        yield b": this connection has reached its age; come back with Last-Event-ID\n"
