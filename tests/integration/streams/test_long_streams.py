"""Test long logs and slow readers: a stream needs some pages of memory, for any log and client.

The web server is a separate process, whose memory the kernel reports.
"""

import logging
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from runyard_dev.dev_stack import REPOSITORY, DevStack
from runyard_dev.emulators.loopback_http import HOST
from runyard_dev.processes.process import ManagedProcess
from runyard_dev.stack_plan import web_command
from runyard_service.adapters.stores import Stores
from runyard_service.domain.events import NewEvent
from tests.support.app_server import make_services, running_app
from tests.support.service import Service

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc of Linux")

MB = 1024 * 1024
EVENTS = 100_000
# The size of a page in its forms: items, lines, frames, and the overhead of the allocator.
# The whole log is 35 MB as sent, and more as objects.
PAGE_BYTES = 12 * MB
SLOW_READERS = 8
SLOW_FROM = 60_000


@dataclass(frozen=True)
class WebServer:
    """A web server of the stack, and its process."""

    url: str
    pid: int

    def peak(self) -> int:
        """Return the peak memory since `forget`, in bytes."""
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        assert found
        return int(found[1]) * 1024

    def forget(self) -> int:
        """Reset the peak memory; return the current memory in bytes."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")
        return self.peak()


@pytest.fixture(scope="module")
def web_server(stack: DevStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    """Yield a web server that has already replayed a part of a long log."""
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("web") / "log"
    command = web_command(port, REPOSITORY)
    part = ManagedProcess("web", "", command, port, log, stack.environment, "/v1/health")
    part.spawn()
    try:
        part.wait_ready(threading.Event())
        assert part.process
        yield WebServer(f"http://{HOST}:{port}", part.process.pid)
    finally:
        part.stop()


@pytest.fixture(scope="module")
def long_run(service: Service, stores: Stores, web_server: WebServer) -> str:
    """Return an ended run of more than 100,000 events; the web server has replayed a part of it."""
    run_id = str(service.create({"ticket_subject": "Help!"})["id"])
    last = len(service.events(run_id))
    delta = NewEvent(
        type="agent.response.delta", data={"delta": "some ten words of a long story " * 5}
    )
    for _ in range(EVENTS // 1000):
        last = stores.log.append(run_id, last, [delta] * 1000)[-1].sequence
    assert service.http.post(f"/v1/runs/{run_id}/cancel").status_code == 200
    replay(web_server.url, service, run_id, after=EVENTS - 5000)
    return run_id


def replay(base_url: str, service: Service, run_id: str, after: int = 0) -> tuple[list[int], int]:
    """Read a stream as fast as possible; return its ids and its bytes."""
    ids, size, rest = [], 0, b""
    url = f"{base_url}/v1/runs/{run_id}/stream?after_sequence={after}"
    with httpx.stream("GET", url, headers=service.http.headers, timeout=60) as answer:
        assert answer.status_code == 200
        for piece in answer.iter_raw():
            size += len(piece)
            *lines, rest = (rest + piece).split(b"\n")
            ids += [int(line[4:]) for line in lines if line.startswith(b"id: ")]
    return ids, size


def test_a_long_log_is_replayed_in_a_page_of_memory(
    web_server: WebServer, service: Service, stores: Stores, long_run: str
) -> None:
    last, has_ended = stores.log.last(long_run)
    assert has_ended
    before = web_server.forget()
    ids, size = replay(web_server.url, service, long_run)
    assert ids == list(range(1, last + 1))
    assert size > 2.5 * PAGE_BYTES
    assert web_server.peak() - before < PAGE_BYTES


class SlowReader:
    """A client that reads the head of a response, and then stops reading."""

    def __init__(self, base_url: str, service: Service, run_id: str) -> None:
        url = httpx.URL(base_url)
        self.socket = socket.socket()
        # A small buffer, because data in the kernel does not count.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(60)
        self.socket.connect((url.host, url.port))
        key = service.http.headers["authorization"]
        path = f"/v1/runs/{run_id}/stream?after_sequence={SLOW_FROM}"
        request = f"GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\nAuthorization: {key}\r\n\r\n"
        self.socket.sendall(request.encode())
        self.seen = b""
        while b"id: " not in self.seen:
            received = self.socket.recv(256)
            assert received, f"closed after {self.seen!r}"
            self.seen += received

    def rest(self) -> list[int]:
        """Continue to read to the end; return the ids."""
        pieces = [self.seen]
        while piece := self.socket.recv(256 * 1024):
            pieces.append(piece)
        return [int(found) for found in re.findall(rb"^id: (\d+)$", b"".join(pieces), re.MULTILINE)]


def test_slow_readers_do_not_delay_others_and_miss_nothing(
    web_server: WebServer, service: Service, stores: Stores, long_run: str
) -> None:
    last, _ = stores.log.last(long_run)
    before = web_server.forget()
    with ExitStack() as open_sockets:
        readers = [SlowReader(web_server.url, service, long_run) for _ in range(SLOW_READERS)]
        for reader in readers:
            open_sockets.enter_context(reader.socket)
        # While they do not read, another client reads all these events.
        ids, size = replay(web_server.url, service, long_run, after=SLOW_FROM)
        assert ids == list(range(SLOW_FROM + 1, last + 1))
        body = {"input": {"ticket_subject": "Export is broken"}, "stream": True}
        url, headers = f"{web_server.url}/v1/runs", service.http.headers
        assert "run.completed" in httpx.post(url, json=body, headers=headers, timeout=60).text
        held = web_server.peak() - before
        # Without backpressure, the server would buffer the rest of the log for each of them.
        assert held < SLOW_READERS * size / 2
        for reader in readers[:2]:
            assert reader.rest() == list(range(SLOW_FROM + 1, last + 1))


def test_a_reader_that_reads_nothing_is_disconnected_at_the_maximum_age(
    stack: DevStack, service: Service, long_run: str, caplog: pytest.LogCaptureFixture
) -> None:
    services = make_services(stack, stream_max_seconds=0.5)
    with (
        caplog.at_level(logging.INFO, logger="runyard_service.api.sse"),
        running_app(services) as url,
    ):
        reader = SlowReader(url, service, long_run)
        with reader.socket:
            until = time.monotonic() + 60
            while "stream closed: client stopped reading" not in caplog.messages:
                assert time.monotonic() < until
                time.sleep(0.05)
            seen = reader.rest()
    # Only buffered data arrived; the reader may reconnect for the rest.
    assert seen == list(range(SLOW_FROM + 1, SLOW_FROM + 1 + len(seen)))
    assert 0 < len(seen) < EVENTS - SLOW_FROM
