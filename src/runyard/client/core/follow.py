"""Follow the log of a run: reconnect after each cut, and check that no event is missing."""

import json
from collections.abc import Generator, Mapping
from math import inf
from time import monotonic
from typing import Any

from runyard.client.core.effects import (
    Call,
    Close,
    Effect,
    Failure,
    Item,
    Open,
    Read,
    Request,
    Response,
    Sleep,
    Stream,
)
from runyard.client.core.requests import (
    MAX_REDIRECTS,
    check_status,
    is_redirect,
    redirected,
    segment,
)
from runyard.client.core.retries import (
    MAX_RETRIES,
    MAX_RETRY_AFTER,
    RETRIED_STATUSES,
    pause,
    retry_after,
)
from runyard.client.core.sse import SseParser
from runyard.client.errors import ApiError, ConnectionLost, GapError, Timeout
from runyard.events import Event, parse_event

HEARTBEAT_SECONDS = 15.0
SILENCE_SECONDS = 3 * HEARTBEAT_SECONDS
"""After this silence, a connection counts as cut. The service sends a heartbeat every 15 s."""
MAX_ATTEMPTS = 20
"""The attempts in a row without a stream, after the first stream: about four minutes."""


class Cursor:
    """The position in one log: the sequence of the last event that arrived completely."""

    def __init__(self, run_id: str, after: int = 0, *, has_deltas: bool = True) -> None:
        if after < 0:
            raise ValueError("after must be 0 or the sequence of an event")
        self.run_id = run_id
        self.after = after
        self.has_ended = False
        """Whether the last event of the log has arrived, or the service has no more events."""
        self._has_deltas = has_deltas

    def request(self, read_seconds: float) -> Request:
        """Return the request of the events after the position."""
        headers = {"Accept": "text/event-stream", "Accept-Encoding": "identity"}
        if self.after:
            headers["Last-Event-ID"] = str(self.after)
        query = () if self._has_deltas else (("deltas", "false"),)
        path = f"/v1/runs/{segment(self.run_id)}/stream"
        return Request("GET", path, query, headers, read_seconds=read_seconds)

    def accept(self, data: bytes) -> Event:
        """Return the event of a frame's data, and move past it. Raise GapError."""
        try:
            raw: Mapping[str, Any] = json.loads(data)
            event = parse_event(raw, self.run_id)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ConnectionLost(f"what follows event {self.after} is no event") from None
        if event.sequence <= self.after or (self._has_deltas and event.sequence != self.after + 1):
            raise GapError(self.after + 1, event.sequence)
        self.after = event.sequence
        self.has_ended = event.is_terminal
        return event


def follow(cursor: Cursor, deadline: float | None = None) -> Stream[Event]:
    """Yield the events after the cursor until the run ends.

    Raise ApiError, ConnectionLost, GapError, and Timeout at the deadline, a time of the monotonic
    clock.
    """
    reconnects = Reconnects()
    while True:
        read_seconds = min(SILENCE_SECONDS, _seconds_left(deadline))
        answer = yield from _open(cursor.request(read_seconds))
        if isinstance(answer, Response) and answer.status == 204:
            return
        if isinstance(answer, Response) and answer.status == 200:
            _check_type(answer)
            must_shorten = yield from _read(cursor, reconnects, deadline, read_seconds)
            yield Close()
            if cursor.has_ended:
                return
            seconds = 0.0 if must_shorten else reconnects.pause_after_close()
        else:
            seconds = reconnects.pause_after(answer)
        yield from _sleep(seconds, deadline)


class Reconnects:
    """How long a stream waits before it connects again, and when it stops to try.

    The pause doubles until an event or a heartbeat arrives.
    """

    def __init__(self) -> None:
        self.attempts = 0
        """The attempts since the last event or heartbeat."""
        self._failures = 0
        """The attempts without a stream since the last stream."""
        self._has_connected = False

    def pause_after_close(self) -> float:
        """Return the seconds before the next attempt, after a stream was cut or has ended."""
        self._has_connected, self._failures = True, 0
        return self._next_pause()

    def pause_after(self, answer: Response | Failure) -> float:
        """Return the seconds before the next attempt. Raise the error of the last one."""
        self._failures += 1
        is_last = self._failures >= (MAX_ATTEMPTS if self._has_connected else MAX_RETRIES + 1)
        asked = None
        if isinstance(answer, Failure):
            if is_last:
                raise ConnectionLost(answer.reason)
        else:
            asked = retry_after(answer.headers)
            is_temporary = answer.status in RETRIED_STATUSES
            is_temporary = is_temporary or (self._has_connected and answer.status >= 500)
            if is_last or not is_temporary or (asked or 0) > MAX_RETRY_AFTER:
                check_status(answer)
                raise ApiError(answer.status, "no_stream", "the answer is no stream; check the URL")
        return max(self._next_pause(), asked or 0)

    def _next_pause(self) -> float:
        self.attempts += 1
        return pause(self.attempts - 1)


def _open(request: Request) -> Call[Response | Failure]:
    """Open the stream, also through redirects."""
    for _ in range(MAX_REDIRECTS + 1):
        answer: Response | Failure = yield Open(request)
        if isinstance(answer, Failure) or not is_redirect(answer):
            return answer
        request = redirected(request, answer)
    raise ApiError(303, "too_many_redirects", "check the URL of the API")


def _check_type(response: Response) -> None:
    if not response.headers.get("content-type", "").startswith("text/event-stream"):
        raise ApiError(response.status, "no_stream", "the answer is no stream; check the URL")


def _read(
    cursor: Cursor, reconnects: Reconnects, deadline: float | None, read_seconds: float
) -> Generator[Effect | Item[Event], Any, bool]:
    """Yield the events of one connection; return whether to reconnect with a shorter silence.

    A heartbeat can arrive shortly before the deadline: the next read must not last longer than the
    time that is left.
    """
    parser = SseParser()
    while True:
        chunk: bytes | Failure | None = yield Read()
        if chunk is None or isinstance(chunk, Failure):
            return False
        if chunk.startswith(b":"):  # A heartbeat.
            reconnects.attempts = 0
        for data in parser.feed(chunk):
            reconnects.attempts = 0
            yield Item(cursor.accept(data))
            if cursor.has_ended:
                return False
        seconds_left = _seconds_left(deadline)
        if seconds_left < HEARTBEAT_SECONDS and read_seconds > seconds_left + 1:
            return True


def _sleep(seconds: float, deadline: float | None) -> Call[None]:
    """Sleep, at most until the deadline. Raise Timeout at the deadline."""
    seconds_left = _seconds_left(deadline)
    yield Sleep(min(seconds, seconds_left))
    if seconds >= seconds_left:
        raise Timeout("the run has not ended in time; it continues")


def _seconds_left(deadline: float | None) -> float:
    return inf if deadline is None else max(0.0, deadline - monotonic())
