"""The Python clients against servers that speak real bytes: cuts, redirects, silence, errors."""

import json
import logging
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from runyard import ApiError, ConnectionLost, GapError, RateLimited, Runyard
from runyard.client.core import follow, retries
from tests.support.python_clients import EACH_PYTHON_CLIENT, PythonClient
from tests.support.servers.loopback import Exchange, LoopbackServer, Received

each_client = pytest.mark.parametrize("client", EACH_PYTHON_CLIENT)
KEY = "ry_test_the_secret_key"
RUN = "6868a3a5-7bf4-4073-a2a6-45ade5de8fc8"


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "FIRST_PAUSE", 0.01)


def frame(sequence: int, type_: str = "agent.response.delta") -> bytes:
    data = {"delta": "größer", "iteration": 1}
    event = {"id": "e", "type": type_, "sequence": sequence, "timestamp": "", "data": data}
    text = json.dumps(event, ensure_ascii=False)
    return f"id: {sequence}\nevent: {type_}\ndata: {text}\n\n".encode()


LOG = [frame(1, "run.started"), frame(2), frame(3), frame(4, "run.completed")]


class CutLog:
    """Serve the log as streams that end after a byte, after two bytes, and so on."""

    def __init__(self) -> None:
        self.cut = 0
        self.size = len(b"".join(LOG))

    def __call__(self, request: Received, exchange: Exchange) -> None:
        """Send the events after the cursor; cut the connection."""
        after = int(request.headers.get("last-event-id", "0"))
        content = b"retry: 2000\n\n" + b"".join(LOG[after:])
        self.cut += 1
        exchange.start("text/event-stream")
        exchange.piece(content[: self.cut])
        if self.cut % 2:
            exchange.cut()
        else:
            exchange.end()


@each_client
def test_a_stream_that_is_cut_at_every_byte(
    client: PythonClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "LONGEST_PAUSE", 0.0)
    log = CutLog()
    with LoopbackServer(log) as server:
        seen = client(server.url, KEY, lambda c: c.runs.follow(RUN))
    assert [event.sequence for event in seen] == [1, 2, 3, 4]
    assert seen[1].delta == "größer"
    assert log.cut > len(LOG[1])


@each_client
def test_a_gap_raises(client: PythonClient) -> None:
    def serve(_: Received, exchange: Exchange) -> None:
        exchange.start("text/event-stream")
        exchange.piece(LOG[0] + LOG[2])

    with LoopbackServer(serve) as server, pytest.raises(GapError, match="event 3 in place of 2"):
        client(server.url, KEY, lambda c: c.runs.follow(RUN))


@each_client
def test_a_silent_connection_counts_as_cut(
    client: PythonClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "SILENCE_SECONDS", 0.2)
    done = threading.Event()

    def serve(request: Received, exchange: Exchange) -> None:
        exchange.start("text/event-stream")
        if "last-event-id" in request.headers:
            exchange.piece(LOG[1] + LOG[2] + LOG[3])
        else:
            exchange.piece(LOG[0])
            done.wait(20)

    with LoopbackServer(serve) as server:
        seen = client(server.url, KEY, lambda c: c.runs.follow(RUN))
        done.set()
    assert len(seen) == 4
    assert len(server.received) == 2


@contextmanager
def two_hosts(
    answer: Callable[[Received, Exchange], None], path: str
) -> Iterator[tuple[LoopbackServer, LoopbackServer]]:
    """Yield an API that redirects to `path` of another host, and that host."""
    with LoopbackServer(answer, host="localhost") as other:

        def redirect(_: Received, exchange: Exchange) -> None:
            location = f"http://localhost:{other.port}{path}?ticket=t"
            exchange.send(303, b"", {"location": location})

        with LoopbackServer(redirect) as api:
            yield api, other


@each_client
def test_another_host_gets_neither_key_nor_project(client: PythonClient) -> None:
    def stream(_: Received, exchange: Exchange) -> None:
        exchange.start("text/event-stream")
        exchange.piece(b"".join(LOG))

    with two_hosts(stream, f"/v1/runs/{RUN}/stream") as (api, other):
        seen = client(api.url, KEY, lambda c: c.runs.follow(RUN), project="support")
    assert len(seen) == 4
    [first], [second] = api.received, other.received
    assert first.headers["authorization"] == f"Bearer {KEY}"
    assert first.headers["x-project-id"] == "support"
    assert second.path == f"/v1/runs/{RUN}/stream?ticket=t"
    assert not {"authorization", "x-project-id"} & set(second.headers)
    assert KEY not in str(second.headers)


@each_client
def test_an_upload_goes_without_the_key_and_is_sent_again(client: PythonClient) -> None:
    bodies: list[bytes] = []

    def bucket(request: Received, exchange: Exchange) -> None:
        bodies.append(request.body)
        assert "authorization" not in request.headers
        exchange.send(503 if len(bodies) == 1 else 204)

    with LoopbackServer(bucket) as storage:

        def api(request: Received, exchange: Exchange) -> None:
            upload = {"url": f"{storage.url}/bucket", "fields": {"key": "k", "policy": "p"}}
            exchange.send_json(200, {"data": {"id": "f", **request.json, "upload": upload}})

        content = b"0" * (4 * 1024 * 1024 + 1)
        with LoopbackServer(api) as server:
            file = client(server.url, KEY, lambda c: c.files.upload(("a.csv", content)))
    assert (file.id, file.mime_type, file.size) == ("f", "text/csv", len(content))
    assert bodies[0] == bodies[1]
    assert bodies[0].index(b'name="policy"') < bodies[0].index(b'name="file"; filename="a.csv"')
    assert content in bodies[0]


class SlowRun:
    """The API endpoint, which answers a create before the run has ended."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str]] = []
        self._ended = False

    def __call__(self, request: Received, exchange: Exchange) -> None:
        """Answer the create, the run and its stream."""
        path = request.path.partition("?")[0]
        self.requests.append((request.method, path))
        status = "completed" if self._ended else "started"
        run = {"id": RUN, "status": status, "output": {"content": "done"}}
        if path.endswith("/stream"):
            self._ended = True
            exchange.start("text/event-stream")
            exchange.piece(b"".join(LOG))
        else:
            location = {"location": f"/v1/runs/{RUN}"}
            exchange.send_json(202 if request.method == "POST" else 200, {"data": run}, location)


@each_client
def test_a_202_is_waited_out_by_following(client: PythonClient) -> None:
    service = SlowRun()
    with LoopbackServer(service) as server:
        run = client(server.url, KEY, lambda c: c.runs.create({"a": 1}))
        assert (run.status, run.output) == ("completed", {"content": "done"})
        [create, *_] = server.received
        assert create.json == {"input": {"a": 1}}
    path = f"/v1/runs/{RUN}"
    assert service.requests == [
        ("POST", "/v1/runs"),
        ("GET", path),
        ("GET", f"{path}/stream"),
        ("GET", path),
    ]
    with LoopbackServer(SlowRun()) as server:
        run = client(server.url, KEY, lambda c: c.runs.create({"a": 1}, wait=False))
        assert run.status == "started"
        assert [request.json["background"] for request in server.received] == [True]


def test_closing_a_stream_cancels_nothing() -> None:
    def serve(_: Received, exchange: Exchange) -> None:
        exchange.start("text/event-stream")
        exchange.piece(LOG[0])
        threading.Event().wait(0.2)

    with LoopbackServer(serve) as server, Runyard(url=server.url, access_key=KEY) as client:
        with client.runs.follow(RUN) as log:
            assert next(log).sequence == 1
        assert (log.run_id, log.cursor) == (RUN, 1)
        with pytest.raises(StopIteration):
            next(log)
        assert [(request.method, request.path) for request in server.received] == [
            ("GET", f"/v1/runs/{RUN}/stream")
        ]


def refusing_port() -> int:
    """Return a port that accepts no connection."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def close_at_once(_: Received, exchange: Exchange) -> None:
    exchange.cut()


def reject(_: Received, exchange: Exchange) -> None:
    exchange.send_json(429, {"error": {"code": "too_many_requests", "message": ""}})


def send_no_json(_: Received, exchange: Exchange) -> None:
    exchange.send(200, b"<html>", {"content-type": "text/html"})


@each_client
@pytest.mark.parametrize(
    ("answer", "error"),
    [(close_at_once, ConnectionLost), (reject, RateLimited), (send_no_json, ApiError)],
)
@pytest.mark.parametrize(
    "work",
    [
        lambda c: c.runs.get(RUN),
        lambda c: c.runs.create({}),
        lambda c: c.runs.follow(RUN),
        lambda c: c.runs.list(),
        lambda c: c.runs.delete(RUN),
    ],
    ids=["get", "create", "follow", "list", "delete"],
)
def test_no_error_shows_the_key(
    client: PythonClient,
    answer: Callable[[Received, Exchange], None],
    error: type[Exception],
    work: Callable[[Any], Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    with LoopbackServer(answer) as server, pytest.raises(error) as raised:
        client(server.url, KEY, work)
    # The errors of httpx2 have frames with all headers.
    assert type(raised.value.__context__).__module__ in ("builtins", "json.decoder")
    printed = traceback.TracebackException.from_exception(raised.value, capture_locals=True)
    # The test's own frames have the key; those of the client follow.
    frames = [frame for frame in printed.stack if "/runyard/client/" in frame.filename]
    assert frames
    assert KEY not in "".join(traceback.StackSummary.from_list(frames).format())
    assert KEY not in repr(raised.value)
    assert KEY not in caplog.text


@each_client
def test_no_connection(client: PythonClient) -> None:
    port = refusing_port()
    with pytest.raises(ConnectionLost, match=f"ConnectError at http://127.0.0.1:{port}: "):
        client(f"http://127.0.0.1:{port}", KEY, lambda c: c.runs.get(RUN))


def test_a_client_shows_no_key() -> None:
    with Runyard(url="http://127.0.0.1:1", access_key=KEY) as client:
        for text in (repr(client), repr(client.configuration), repr(vars(client))):
            assert KEY not in text
