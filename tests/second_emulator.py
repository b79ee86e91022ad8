"""Run the store tests on ministack's DynamoDB: `make test-stores`.

The two emulators were written independently, so code that depends on a defect of one of them fails
on the other.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runyard_dev.emulators import dynoxide
from runyard_dev.processes.process import free_ports

_FILES = (
    "tests/integration/dynamodb",
    "tests/integration/runs/test_run_records.py",
    "tests/integration/input_requests/test_large_requests.py",
    "tests/integration/steps/test_event_log.py",
)
_RULE = (
    "tests/integration/dynamodb/test_strict_dynamodb.py::"
    "test_a_request_that_breaks_a_rule_gets_the_error_of_dynamodb"
)
# What does not run on ministack, and why.
SKIPPED = {
    "tests/integration/steps/test_event_log.py::test_sixteen_concurrent_writers_lose_no_events": (
        "400 appends with conflicts take minutes on ministack"
    ),
    f"{_RULE}[a partition key of 2,049 bytes]": "ministack has another message",
    f"{_RULE}[more than 4 MB in a transaction]": "ministack has another message",
    f"{_RULE}[overlapping paths]": "ministack accepts the request",
    f"{_RULE}[a filter on a key]": "ministack accepts the request",
}
_READY_SECONDS = 60


def main(arguments: list[str]) -> int:
    """Run pytest with the emulator, and return its exit code."""
    for test, reason in SKIPPED.items():
        print(f"skipped: {test.rpartition('::')[2]}: {reason}")  # noqa: T201
    skipped = [option for test in SKIPPED for option in ("--deselect", test)]
    with ministack() as endpoint:
        environment = {**os.environ, "DYNAMODB_ENDPOINT": endpoint}
        command = [sys.executable, "-m", "pytest", "-q", *_FILES, *skipped, *arguments]
        return subprocess.run(command, env=environment, check=False).returncode


@contextmanager
def ministack() -> Iterator[str]:
    """Start ministack's DynamoDB, with its data in memory, and yield its URL."""
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory() as folder:
        emulator = dynoxide.ministack(port, Path(folder))
        environment = {**os.environ, **emulator.environment, "PERSIST_STATE": "0"}
        with (Path(folder) / "log").open("wb") as log:
            process = subprocess.Popen(emulator.command, env=environment, stdout=log, stderr=log)
        try:
            _wait_until_ready(process, port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + _READY_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError(f"ministack did not start within {_READY_SECONDS} s")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
