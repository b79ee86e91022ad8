"""Measure the Python client's own share of a create and of an event.

    python -m benchmarks.python_client

A loopback server answers at once. The results are processor time of the client's thread, without
that of a plain socket for the same bytes: medians. The goals are 1 ms for a create, and 20 µs for
an event.
"""

import json
import socket
import statistics
import sys
import threading
import time
from collections.abc import Callable

from runyard import Runyard
from runyard.client.core.effects import Item, Open, Response
from runyard.client.core.follow import Cursor, follow

CREATES = 500
EVENTS = 50_000
CHUNK_EVENTS = 20
CREATE_GOAL_MS, EVENT_GOAL_US = 1.0, 20.0

RUN = {"id": "8c2c8e2e-2f0a-4f4e-9f4f-6e1a52f0a001", "app_id": "a", "status": "completed"}
BODY = json.dumps({"data": {**RUN, "started_at": "", "input": {}}}).encode()
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
    len(BODY),
    BODY,
)


def main() -> int:
    """Print the results. Return 1 if a goal is missed."""
    create_ms, event_us = measure_create(), measure_event()
    print(f"create, own share: median {create_ms:.2f} ms, goal {CREATE_GOAL_MS:g} ms")
    print(f"event, own share: median {event_us:.1f} µs, goal {EVENT_GOAL_US:g} µs")
    return int(create_ms > CREATE_GOAL_MS or event_us > EVENT_GOAL_US)


def measure_create() -> float:
    """Return the milliseconds of a create, without those of the server."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_serve, args=(server,), daemon=True).start()
        port = server.getsockname()[1]
        with Runyard(url=f"http://127.0.0.1:{port}", access_key="ry_x") as client:
            whole = _median(lambda: client.runs.create({"ticket_subject": "Charged twice"}))
        with socket.create_connection(("127.0.0.1", port)) as plain:
            bare = _median(lambda: _exchange(plain))
    return (whole - bare) * 1000


def measure_event() -> float:
    """Return the microseconds from the bytes of an event to its object."""
    chunks = [
        b"".join(map(_frame, range(first, first + CHUNK_EVENTS)))
        for first in range(1, EVENTS + 1, CHUNK_EVENTS)
    ]
    times = []
    for chunk_group in range(0, len(chunks), 100):
        group = chunks[chunk_group : chunk_group + 100]
        started = time.thread_time()
        _consume(group, after=chunk_group * CHUNK_EVENTS)
        times.append((time.thread_time() - started) / (len(group) * CHUNK_EVENTS))
    return statistics.median(times) * 1_000_000


def _consume(chunks: list[bytes], after: int) -> None:
    """Follow a stream that has these chunks."""
    stream, left = follow(Cursor("r", after)), iter(chunks)
    effect, last = next(stream), after + len(chunks) * CHUNK_EVENTS
    while True:
        if isinstance(effect, Item):
            if effect.value.sequence == last:
                return
            effect = next(stream)
        elif isinstance(effect, Open):
            head = {"content-type": "text/event-stream"}
            effect = stream.send(Response(200, "http://127.0.0.1/", head))
        else:
            effect = stream.send(next(left, None))


def _frame(sequence: int) -> bytes:
    event = {
        "id": "25934d79-c63a-4a9f-9d22-5e931cdefb7e",
        "type": "agent.response.delta",
        "sequence": sequence,
        "timestamp": "2026-11-28T12:00:00.000Z",
        "data": {"object": "agent.response", "delta": "The second charge ", "iteration": 2},
    }
    return f"id: {sequence}\nevent: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


def _median(work: Callable[[], object]) -> float:
    """Return the median processor time of a call in seconds."""
    for _ in range(20):
        work()
    times = []
    for _ in range(CREATES):
        started = time.thread_time()
        work()
        times.append(time.thread_time() - started)
    return statistics.median(times)


def _exchange(connection: socket.socket) -> None:
    body = b'{"input":{"ticket_subject":"Charged twice"}}'
    head = b"POST /v1/runs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % len(body)
    connection.sendall(head + body)
    connection.recv(65_536)


def _serve(server: socket.socket) -> None:
    """Answer every request on every connection."""
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=_answer, args=(connection,), daemon=True).start()


def _answer(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    received = b""
    with connection:
        while data := connection.recv(65_536):
            received += data
            head, separator, body = received.partition(b"\r\n\r\n")
            if not separator:
                continue
            lines = head.lower().split(b"\r\n")
            [length] = [int(line[15:]) for line in lines if line.startswith(b"content-length:")]
            if len(body) >= length:
                received = b""
                connection.sendall(ANSWER)


if __name__ == "__main__":
    sys.exit(main())
