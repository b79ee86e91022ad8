"""The emulator of AWS, and what the sample agents call, as processes of this test."""

import os
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from runyard_dev.emulators.loopback_http import HOST
from runyard_dev.processes import parent_death
from runyard_dev.processes.process import ManagedProcess, free_ports
from tests.deployment import emulator_workarounds, failing_resources
from tests.deployment.build import Build

FAILURES = "failing-resources"
READY_SECONDS = 120
_PYTHON = Path(".venv-deployment/bin/python")
_REGION = "us-east-1"


@contextmanager
def running_emulator(build: Build, temporary: Path) -> Iterator[dict[str, int]]:
    """Start the emulator, and what the sample agents call; yield their ports, and end both.

    The environment of this process leads every AWS client to the emulator.
    """
    names = ("GATEWAY_PORT", "API_PORT", "STREAM_PORT", "SAMPLES_PORT")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://{HOST}:{ports['GATEWAY_PORT']}",
        # The emulator's root user.
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": _REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": HOST,
        "no_proxy": HOST,
    }
    parts = _parts(ports, temporary, build.folder / "logs")
    try:
        for part in parts:
            part.spawn()
            part.wait_ready(threading.Event())
        yield ports
    finally:
        for part in reversed(parts):
            part.stop()


def wait_for_endpoints(outputs: Mapping[str, str]) -> None:
    """Wait until both endpoints of a stack answer: each deployment restarts the streaming one."""
    for address in (outputs["ApiUrl"].rstrip("/"), outputs["StreamUrl"].rstrip("/")):
        until = time.monotonic() + READY_SECONDS
        while not _is_healthy(address):
            assert time.monotonic() < until, f"{address} does not answer"
            time.sleep(0.2)


def _parts(ports: dict[str, int], temporary: Path, logs: Path) -> list[ManagedProcess]:
    logs.mkdir(exist_ok=True)
    emulator = {
        **os.environ,
        **{name: str(port) for name, port in ports.items()},
        **{"AUTH": "true", "BIND_HOST": HOST, "IOT_MTLS_ENABLED": "0", "SFTP_ENABLED": "0"},
        **{"LIFELINE": str(parent_death.__file__), "TMPDIR": str(temporary)},
        **{failing_resources.FILE_VARIABLE: str(temporary / FAILURES)},
        **{"STATE_DIR": str(temporary / "state"), "S3_DATA_DIR": str(temporary / "s3")},
    }
    samples = ("-m", "runyard_dev.samples.services", "--port", str(ports["SAMPLES_PORT"]))
    return [
        ManagedProcess(
            name="samples",
            description="what the sample agents call",
            command=[sys.executable, *samples],
            port=ports["SAMPLES_PORT"],
            log=logs / "samples.log",
            environment=os.environ,
        ),
        ManagedProcess(
            name="emulator",
            description="ministack",
            command=[str(_PYTHON), "-m", emulator_workarounds.__name__],
            port=ports["GATEWAY_PORT"],
            log=logs / "emulator.log",
            environment=emulator,
            ready_path="/_ministack/health",
        ),
    ]


def _is_healthy(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/v1/health", timeout=30) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
