"""Test the correlation fields of log lines, and the X-Ray segment of an invocation."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

TRACE = "1-67a1b2c3-1234567890abcdef12345678"
PARENT = "53995c3f42cd8ad8"

# A handler that sets the run id in a nested call, fails at its second invocation, and leaves no
# context for its third.
HANDLER = """
import asyncio, logging, sys
from runyard_service.observability.logging import configure_observability, observe
configure_observability()
from runyard_service.observability import log_context
from runyard_service.observability.metrics import APPEND_CONFLICTS, record
from tests.integration.observability.test_invocations import Context

async def deep_inside(event):
    if "run_id" in event:
        log_context.bind(run_id=event["run_id"])
    logging.getLogger("runyard_service.somewhere").warning("something", extra={"error": "e"})
    record("append conflict", {APPEND_CONFLICTS: 1}, sequence=7)

@observe
def handler(event, context):
    asyncio.run(deep_inside(event))
    if event.get("fails"):
        raise ValueError("quoted content")

handler({"run_id": "one"}, Context())
try:
    handler({"run_id": "two", "fails": True}, Context())
except ValueError:
    pass
handler({}, Context())
"""


class Context:
    """The part of Lambda's context that Powertools reads."""

    function_name = "runyard-test"
    memory_limit_in_mb = 128
    invoked_function_arn = "arn"
    aws_request_id = "invocation-1"


@pytest.fixture
def daemon() -> Iterator[socket.socket]:
    """Yield a socket at the address of the X-Ray daemon."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(0)
        yield listening


def run_handler(daemon: socket.socket, sampled: str = "1") -> list[dict[str, Any]]:
    """Return the log lines of a process that runs the handler."""
    done = subprocess.run(
        [sys.executable, "-c", HANDLER],
        env={
            "PATH": os.environ["PATH"],
            "STACK_NAME": "runyard-eu",
            "_X_AMZN_TRACE_ID": f"Root={TRACE};Parent={PARENT};Sampled={sampled};Lineage=1:2:3",
            "AWS_XRAY_DAEMON_ADDRESS": f"127.0.0.1:{daemon.getsockname()[1]}",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_every_log_line_has_correlation_fields(daemon: socket.socket) -> None:
    lines = run_handler(daemon)
    said = [(line["message"], line.get("run_id")) for line in lines]
    assert said == [
        ("something", "one"),
        ("append conflict", "one"),
        ("something", "two"),
        ("append conflict", "two"),
        ("invocation failed", "two"),
        ("something", None),
        ("append conflict", None),
    ]
    for line in lines:
        if line["message"] == "append conflict":
            assert (line["Stack"], line["AppendConflicts"], line["sequence"]) == (
                "runyard-eu",
                1,
                7,
            )
        else:
            assert line["xray_trace_id"] == TRACE
            assert line["function_request_id"] == "invocation-1"
    [failed] = [line for line in lines if line["message"] == "invocation failed"]
    assert failed["error"] == "ValueError"
    assert "quoted content" not in json.dumps(lines)


def test_x_ray_traces_have_the_run_id(daemon: socket.socket) -> None:
    run_handler(daemon)
    documents = []
    for _ in ("one", "two"):
        header, _, document = daemon.recv(65_536).partition(b"\n")
        assert json.loads(header) == {"format": "json", "version": 1}
        documents.append(json.loads(document))
    for document, run_id in zip(documents, ("one", "two"), strict=True):
        assert document["annotations"] == {"run_id": run_id}
        assert document["type"] == "subsegment"
        assert (document["trace_id"], document["parent_id"]) == (TRACE, PARENT)
        assert len(bytes.fromhex(document["id"])) == 8
        assert 0 < document["start_time"] <= document["end_time"]
    # The third invocation had no run: no segment is sent.
    with pytest.raises(BlockingIOError):
        daemon.recv(65_536)


def test_an_unsampled_trace_is_not_sent(daemon: socket.socket) -> None:
    assert run_handler(daemon, sampled="0")
    with pytest.raises(BlockingIOError):
        daemon.recv(65_536)
