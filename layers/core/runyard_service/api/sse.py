"""Server-Sent Events: the log of a run as frames, with a heartbeat and a maximum duration."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Literal

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from runyard_service.adapters.dynamodb.event_log import Batch
from runyard_service.application.streams.follow_events import FollowedRuns
from runyard_service.domain.events import DELTA_TYPES, event_type_of
from runyard_service.observability import metrics
from runyard_service.settings import Settings

_log = logging.getLogger(__name__)

# Grace period after the maximum duration: the stream may still read a page.
_LATE_SECONDS = 3

HEADERS = {
    # no-transform: a proxy that compresses would buffer frames.
    "Cache-Control": "no-store, no-transform",
    "X-Accel-Buffering": "no",
}


# The events of a stream: each line of the log with its sequence.
NumberedLines = Iterable[tuple[int, bytes]]


def runs_api_frames(lines: NumberedLines) -> bytes:
    """Return the frames of the lines for the Runs API. Lines are stored in their wire format."""
    return b"".join(
        b"id: %d\nevent: %b\ndata: %b\n\n" % (sequence, event_type_of(line).encode(), line)
        for sequence, line in lines
    )


@dataclass(frozen=True)
class SseFormat:
    """The stream format of an API: its frames, and the comment that it sends as heartbeat.

    If `follow` is False, the stream closes after the stored events. If `deltas` is False, it leaves
    out the events of `DELTA_TYPES`.
    """

    frames: Callable[[NumberedLines], bytes] = runs_api_frames
    heartbeat: bytes = b": heartbeat\n"
    follow: bool = True
    deltas: bool = True

    def encode(self, batch: Batch) -> bytes:
        """Return the frames of the batch, empty if the stream leaves out all its events."""
        lines = enumerate(batch.lines, start=batch.first)
        if self.deltas:
            return self.frames(lines)
        return self.frames(
            (sequence, line) for sequence, line in lines if event_type_of(line) not in DELTA_TYPES
        )


def event_stream(
    runs: FollowedRuns,
    settings: Settings,
    run_id: str,
    after: int,
    shape: SseFormat,
    headers: Mapping[str, str],
) -> StreamingResponse:
    """Return a live stream of the events after `after`, limited to `stream_max_seconds`."""
    return TimeLimitedResponse(
        _body(runs, settings, run_id, after, shape),
        settings.stream_max_seconds,
        headers={**HEADERS, **headers},
    )


class TimeLimitedResponse(StreamingResponse):
    """A response that also ends if the client stops reading and the body blocks on the socket."""

    def __init__(self, body: AsyncIterator[bytes], age: float, headers: Mapping[str, str]) -> None:
        super().__init__(body, media_type="text/event-stream", headers=headers)
        self._age = age
        self.close: Callable[[], None] | None = None
        """Called at the end of the response, whatever ended it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            if self.close is not None:
                self.close()

    async def stream_response(self, send: Send) -> None:
        """Send the body. After the time limit, leave it incomplete: the server then closes."""
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
    # Single lines without a blank line: some clients dispatch a block without data as an event.
    with _record_metrics(run_id) as stream:
        yield b"retry: 2000\n"
        sent_at = time.monotonic()
        until = sent_at + settings.stream_max_seconds
        silence = settings.stream_heartbeat_seconds
        following = runs.follow(run_id, after, until, silence, live=shape.follow)
        async with aclosing(following) as batches:
            async for batch in batches:
                frames = b"" if batch is None else shape.encode(batch)
                if not frames and (batch is None or time.monotonic() - sent_at >= silence):
                    frames = shape.heartbeat  # Also while the log has only deltas.
                if frames:
                    yield frames
                    sent_at = time.monotonic()
                if batch is not None and batch.is_end:
                    stream.outcome = "ended"
                    return
                # Yield to the event loop. A fast socket would otherwise block other streams, and
                # the server would not notice that the client has disconnected.
                await asyncio.sleep(0)
        if time.monotonic() >= until:
            stream.outcome = "max_age"
            yield b": maximum connection age reached; reconnect with Last-Event-ID\n"
        else:
            stream.outcome = "ended"


@dataclass
class _Stream:
    """How a stream closed. A client that disconnects leaves the default."""

    outcome: Literal["ended", "max_age", "disconnected", "failed"] = "disconnected"


@contextmanager
def _record_metrics(run_id: str) -> Iterator[_Stream]:
    """Record metrics when the stream opens and when it closes."""
    metrics.record("stream opened", {metrics.STREAMS_OPENED: 1}, run_id=run_id)
    stream = _Stream()
    try:
        yield stream
    except Exception:
        stream.outcome = "failed"
        raise
    finally:
        is_disconnected = stream.outcome in ("disconnected", "failed")
        closed = {metrics.STREAMS_CLOSED: 1, metrics.STREAMS_DISCONNECTED: int(is_disconnected)}
        metrics.record("stream closed", closed, {"Outcome": stream.outcome}, run_id=run_id)
