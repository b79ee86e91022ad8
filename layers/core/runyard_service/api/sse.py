"""Server-Sent Events: a run's log as frames, with heartbeat and a bounded life."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Literal

from starlette.responses import StreamingResponse
from starlette.types import Send

from runyard_service.adapters.dynamodb.event_log import Batch
from runyard_service.application.streams.follow_events import FollowedRuns
from runyard_service.domain.events import event_type_of
from runyard_service.observability import metrics
from runyard_service.settings import Settings

_log = logging.getLogger(__name__)

# How much later than at its age a stream may end by itself: it was reading a page.
_LATE_SECONDS = 3

HEADERS = {
    # no-transform: an intermediary that compresses would hold frames back.
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}


def runs_api_frames(batch: Batch) -> bytes:
    """A batch as the Runs API frames it; the lines are stored as they go on the wire."""
    return b"".join(
        b"id: %d\nevent: %b\ndata: %b\n\n" % (sequence, event_type_of(line).encode(), line)
        for sequence, line in enumerate(batch.lines, start=batch.first)
    )


@dataclass(frozen=True)
class SseFormat:
    """How an API shows a log: its frames, and the comment that it sends in times of silence.

    Where it does not `follow`, the stream closes behind what is there.
    """

    frames: Callable[[Batch], bytes] = runs_api_frames
    heartbeat: bytes = b": heartbeat\n"
    follow: bool = True


def event_stream(
    runs: FollowedRuns,
    settings: Settings,
    run_id: str,
    after: int,
    shape: SseFormat,
    headers: Mapping[str, str],
) -> StreamingResponse:
    """The run's events behind `after`, live, until the end or the connection's age."""
    return TimeLimitedResponse(
        _body(runs, settings, run_id, after, shape),
        settings.stream_max_seconds,
        headers={**HEADERS, **headers},
    )


class TimeLimitedResponse(StreamingResponse):
    """Ends also where its client takes nothing: the body, which waits for the socket, cannot."""

    def __init__(self, body: AsyncIterator[bytes], age: float, headers: Mapping[str, str]) -> None:
        super().__init__(body, media_type="text/event-stream", headers=headers)
        self._age = age

    async def stream_response(self, send: Send) -> None:
        """Send the body; leave it incomplete, so that the server closes, when it does not end."""
        limit = asyncio.timeout(self._age + _LATE_SECONDS)
        try:
            async with limit:
                await super().stream_response(send)
        except TimeoutError:
            if not limit.expired():
                raise
            _log.info("stream closed: client stopped reading")


async def _body(
    runs: FollowedRuns, settings: Settings, run_id: str, after: int, shape: SseFormat
) -> AsyncIterator[bytes]:
    # Single lines and no blocks: some clients take a block without data for an event.
    with _measured(run_id) as stream:
        yield b"retry: 2000\n"
        until = time.monotonic() + settings.stream_max_seconds
        silence = settings.stream_heartbeat_seconds
        following = runs.follow(run_id, after, until, silence, live=shape.follow)
        async with aclosing(following) as batches:
            async for batch in batches:
                yield shape.heartbeat if batch is None else shape.frames(batch)
                if batch is not None and batch.is_end:
                    stream.outcome = "ended"
                    return
                # A socket that takes all it is given would never let another stream have its turn,
                # nor the server see that the client is gone.
                await asyncio.sleep(0)
        if time.monotonic() >= until:
            stream.outcome = "max_age"
            yield b": maximum connection age reached; reconnect with Last-Event-ID\n"
        else:
            stream.outcome = "ended"


@dataclass
class _Stream:
    """How a stream closed. Whoever leaves it before its end says nothing."""

    outcome: Literal["ended", "max_age", "disconnected", "failed"] = "disconnected"


@contextmanager
def _measured(run_id: str) -> Iterator[_Stream]:
    """Tell that a stream was opened, and how it closed."""
    metrics.record("stream opened", {metrics.STREAMS_OPENED: 1}, run_id=run_id)
    stream = _Stream()
    try:
        yield stream
    except Exception:
        stream.outcome = "failed"
        raise
    finally:
        is_cut = stream.outcome in ("disconnected", "failed")
        closed = {metrics.STREAMS_CLOSED: 1, metrics.STREAMS_DISCONNECTED: int(is_cut)}
        metrics.record("stream closed", closed, {"Outcome": stream.outcome}, run_id=run_id)
