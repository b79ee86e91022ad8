"""The state machine of a stream, driven by a script in place of connections."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from runyard.client.core import follow as module
from runyard.client.core.effects import Close, Failure, Item, Open, Read, Request, Response, Sleep
from runyard.client.core.follow import MAX_ATTEMPTS, SILENCE_SECONDS, Cursor, follow
from runyard.client.errors import (
    ApiError,
    ConnectionLost,
    GapError,
    KeyRefused,
    NotFound,
    RateLimited,
    Timeout,
)

CUT = Failure("ReadError")
STREAM = {"content-type": "text/event-stream"}


def frame(sequence: int, type_: str = "agent.response.delta", **data: Any) -> bytes:
    event = {
        "id": f"e{sequence}",
        "type": type_,
        "sequence": sequence,
        "timestamp": "",
        "data": data,
    }
    return f"id: {sequence}\nevent: {type_}\ndata: {json.dumps(event)}\n\n".encode()


def end(sequence: int) -> bytes:
    return frame(sequence, "run.completed", status="completed")


def answer(status: int, **headers: str) -> Response:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Response(status, "https://api.test/v1/runs/r/stream", named, b'{"error":{"code":"x"}}')


class Script:
    """The connections of a stream: each is a list of chunks, a Response or a Failure."""

    def __init__(self, *connections: Sequence[bytes | Failure] | Response | Failure) -> None:
        self._connections = list(connections)
        self._chunks: list[bytes | Failure] = []
        self.requests: list[Request] = []
        self.pauses: list[float] = []
        self.closed = 0

    def run(self, cursor: Cursor, deadline: float | None = None) -> list[int]:
        """Follow to the end; return the sequences of the events."""
        stream, result = follow(cursor, deadline), None
        seen: list[int] = []
        while True:
            try:
                effect = stream.send(result)
            except StopIteration:
                return seen
            result = None
            if isinstance(effect, Item):
                seen.append(effect.value.sequence)
            else:
                result = self._perform(effect)

    def _perform(self, effect: object) -> object:
        if isinstance(effect, Sleep):
            self.pauses.append(effect.seconds)
        elif isinstance(effect, Close):
            self.closed += 1
        elif isinstance(effect, Read):
            return self._chunks.pop(0) if self._chunks else None
        elif isinstance(effect, Open):
            self.requests.append(effect.request)
            connection = self._connections.pop(0)
            if not isinstance(connection, list):
                return connection
            self._chunks = list(connection)
            return Response(200, "https://api.test/v1/runs/r/stream", STREAM)
        return None

    @property
    def cursors(self) -> list[str]:
        """The `Last-Event-ID` of each connection."""
        return [request.headers.get("Last-Event-ID", "") for request in self.requests]


def test_the_cursor_is_the_last_event_whose_blank_line_arrived() -> None:
    script = Script(
        [frame(1), frame(2)[:-1], CUT],
        [frame(2) + frame(3)[:20]],
        [frame(3), end(4), frame(5)],
    )
    assert script.run(Cursor("r")) == [1, 2, 3, 4]
    assert script.cursors == ["", "1", "2"]
    assert script.requests[0].read_seconds == SILENCE_SECONDS


def test_a_close_without_a_terminal_event_is_not_the_end() -> None:
    script = Script([frame(1)], [], [end(2)])
    assert script.run(Cursor("r")) == [1, 2]
    assert script.closed == 3


def test_204_is_the_end() -> None:
    script = Script(Response(204, "https://api.test/", {}))
    assert script.run(Cursor("r", 30)) == []
    assert script.cursors == ["30"]


def test_pauses_grow_to_15_seconds_until_an_event_or_a_heartbeat_arrives() -> None:
    empty: list[bytes | Failure] = [b"retry: 2000\n\n"]
    script = Script(*[empty] * 8, [b": heartbeat\n\n"], [frame(1)], [end(2)])
    assert script.run(Cursor("r")) == [1, 2]
    longest = [0.5, 1, 2, 4, 8, 15, 15, 15, 0.5, 0.5]
    assert len(script.pauses) == len(longest)
    for pause, most in zip(script.pauses, longest, strict=True):
        assert most / 2 <= pause <= most


@pytest.mark.parametrize(
    ("status", "error"), [(400, ApiError), (401, KeyRefused), (403, KeyRefused), (404, NotFound)]
)
def test_a_rejected_request_raises(status: int, error: type[ApiError]) -> None:
    for script in (Script(answer(status)), Script([frame(1)], answer(status))):
        with pytest.raises(error) as raised:
            script.run(Cursor("r"))
        assert raised.value.status == status


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_the_first_connection_has_two_retries(status: int) -> None:
    assert Script(answer(status), answer(status), [end(1)]).run(Cursor("r")) == [1]
    with pytest.raises(ApiError):
        Script(answer(status), answer(status), answer(status)).run(Cursor("r"))
    with pytest.raises(ConnectionLost):
        Script(CUT, CUT, CUT).run(Cursor("r"))


def test_a_followed_stream_reconnects_through_a_longer_outage() -> None:
    outage: list[Response | Failure] = [CUT, answer(500), *[answer(503)] * (MAX_ATTEMPTS - 3)]
    assert Script([frame(1)], *outage, [end(2)]).run(Cursor("r")) == [1, 2]
    with pytest.raises(ApiError, match="503"):
        Script([frame(1)], *outage, answer(503)).run(Cursor("r"))


def test_retry_after_counts_up_to_a_minute() -> None:
    script = Script([frame(1)], answer(429, retry_after="50"), [end(2)])
    script.run(Cursor("r"))
    assert script.pauses[1] == 50
    with pytest.raises(RateLimited):
        Script([frame(1)], answer(429, retry_after="61")).run(Cursor("r"))


@pytest.mark.parametrize(("received", "sequence"), [("a gap", 3), ("a repetition", 1)])
def test_every_event_has_the_next_sequence(received: str, sequence: int) -> None:
    with pytest.raises(GapError) as raised:
        Script([frame(1), frame(sequence)]).run(Cursor("r"))
    assert (raised.value.expected, raised.value.received) == (2, sequence)


def test_without_deltas_sequences_only_grow() -> None:
    script = Script([frame(1, "run.started"), end(9)])
    assert script.run(Cursor("r", has_deltas=False)) == [1, 9]
    assert script.requests[0].query == (("deltas", "false"),)
    with pytest.raises(GapError):
        Script([frame(4), frame(4)]).run(Cursor("r", has_deltas=False))


def test_another_host_gets_the_cursor_and_no_credentials() -> None:
    moved = answer(303, location="https://stream.test/v1/runs/r/stream?ticket=t")
    script = Script([frame(1)], moved, [end(2)])
    assert script.run(Cursor("r")) == [1, 2]
    sent = script.requests[2]
    assert sent.url == "https://stream.test/v1/runs/r/stream?ticket=t"
    assert (sent.has_credentials, sent.headers["Last-Event-ID"]) == (False, "1")
    # A reconnect asks the API again: the ticket expires.
    script = Script(moved, [frame(1)], moved, [end(2)])
    assert script.run(Cursor("r")) == [1, 2]
    assert [request.has_credentials for request in script.requests] == [True, False, True, False]


def test_the_same_host_gets_the_credentials() -> None:
    moved = answer(303, location="/elsewhere")
    script = Script(moved, [end(1)])
    assert script.run(Cursor("r")) == [1]
    assert script.requests[1].url == "https://api.test/elsewhere"
    assert script.requests[1].has_credentials


def test_an_answer_that_is_no_stream_raises() -> None:
    page = Response(200, "https://api.test/", {"content-type": "text/html"})
    with pytest.raises(ApiError, match="no stream"):
        Script(page).run(Cursor("r"))
    with pytest.raises(ConnectionLost, match="what follows event 1"):
        Script([frame(1), b"data: no json\n\n"]).run(Cursor("r"))


def test_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])

    class Clock(Script):
        def _perform(self, effect: object) -> object:
            now[0] += 6 if isinstance(effect, Read) else 0
            return super()._perform(effect)

    script = Clock([frame(1), frame(2)], [frame(2)], [], [])
    with pytest.raises(Timeout):
        script.run(Cursor("r"), deadline=120.0)
    # Shortly before the deadline, no read may last longer than the time that is left.
    assert [request.read_seconds for request in script.requests] == [20, 14, 8, 2]
    assert script.cursors == ["", "1", "2", "2"]
