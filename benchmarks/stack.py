"""What the benchmarks run on: the local stack with their agents, and a client."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runyard_dev.dev_stack import DevStack

AGENTS = Path("benchmarks/agents")
INSTRUMENT = Path("benchmarks/instrument")
PARTS = ("dynamodb", "lambda", "aws", "web")


@dataclass
class Client:
    """The measuring process, and the server that it measures."""

    process: subprocess.Popen[str]
    server: Mapping[str, Any]

    def measure(self, measure: str, **order: Any) -> dict[str, Any]:
        """Measure and return the result. Raise EOFError if the client has ended with an error."""
        assert self.process.stdin
        assert self.process.stdout
        line = json.dumps({"server": dict(self.server), "measure": measure, **order})
        print(line, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            raise EOFError(f"the client ended during {measure}")
        result: dict[str, Any] = json.loads(answer)
        return result


@contextmanager
def client(server: Mapping[str, Any]) -> Iterator[Client]:
    """A client process, ended on the way out."""
    command = [sys.executable, "-m", "benchmarks.client"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Client(process, server)
        finally:
            process.kill()


@contextmanager
def runyard(
    agent: str = "bench", environment: Mapping[str, str] | None = None
) -> Iterator[tuple[DevStack, Client]]:
    """The local stack, on disk in a temporary folder, and a client for it."""
    variables = {"DEFAULT_AGENT": agent, "DEFAULT_PERSONA": agent, **(environment or {})}
    with (
        tempfile.TemporaryDirectory() as folder,
        DevStack.start(
            data_dir=Path(folder), agents_dir=AGENTS, environment=variables, sweep_seconds=None
        ) as stack,
    ):
        host, _, port = stack.base_url.removeprefix("http://").partition(":")
        server = {
            "dialect": "runs_api",
            "host": host,
            "port": int(port),
            "headers": {"Authorization": f"Bearer {stack.access_key}"},
        }
        with client(server) as measuring:
            yield stack, measuring


def instrumented(folder: Path, *, units: bool) -> dict[str, str]:
    """The environment under which the stack's processes note their calls into the folder."""
    variables = {"PYTHONPATH": str(INSTRUMENT.absolute()), "BENCH_SPANS": str(folder)}
    return variables | ({"BENCH_UNITS": "1"} if units else {})


def memory_mb(pid: int) -> tuple[float, float] | None:
    """Return the memory and peak memory of a process; None if they are unknown."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return None
    fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
    now, most = (int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
    return now, most
