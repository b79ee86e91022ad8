"""Streams in every possible pair of pieces."""

import pytest

from runyard.client.core.sse import SseParser

STREAM = (
    "\ufeffretry: 2000\n\n: heartbeat\n\n"
    'id: 1\nevent: run.started\ndata: {"text":"é\\n"}\n\n'
    "id: 2\r\ndata: two\r\ndata:lines\r\n\r\n"
    "data:\n\n"
    "id: 4\rdata: carriage returns\r\r"
    ": maximum connection age reached\n\n"
    "data: half"
).encode()
EVENTS = ['{"text":"é\\n"}'.encode(), b"two\nlines", b"", b"carriage returns"]


def parse(*pieces: bytes) -> list[bytes]:
    parser = SseParser()
    return [data for piece in pieces for data in parser.feed(piece)]


def test_a_stream_cut_in_two_at_every_byte() -> None:
    for position in range(len(STREAM) + 1):
        assert parse(STREAM[:position], STREAM[position:]) == EVENTS, position


def test_a_stream_byte_by_byte() -> None:
    assert parse(*(bytes([byte]) for byte in STREAM)) == EVENTS


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_an_event_without_its_blank_line_is_not_complete(end: str) -> None:
    assert parse(f"data: half{end}".encode()) == []


def test_line_separators_beyond_ascii_do_not_end_a_line() -> None:
    text = "a\u2028b\u0085c\x0bd\x1ce"
    assert parse(f"data: {text}\n\n".encode()) == [text.encode()]
