"""Others, measured by the same client in the same run: LangGraph's development server.

It holds everything in memory, in the process that also serves and works, and is measured twice: as
it is shipped, and with its queue's polling interval turned down from 500 ms to 10.
"""

import os
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import latency
from benchmarks.results import Figure
from benchmarks.stack import Client, client, memory_mb
from runyard_dev.emulators.loopback_http import HOST
from runyard_dev.processes.process import free_ports

_FOLDER = Path("benchmarks/langgraph")
_SCRIPTS = Path(".venv-peers/bin")
_READY_SECONDS = 60


def measure_all() -> list[tuple[str, dict[str, float]]]:
    """What each peer reached, by the figure's name; each thing less often than at home."""
    found = []
    for name, tuned in (("LangGraph dev", False), ("LangGraph dev, polling turned down", True)):
        print(name)
        with _langgraph(tuned=tuned) as (process, measuring):
            figures = list(_print_each(latency.measure(measuring, latency.PEER)))
            if memory := memory_mb(process.pid):
                figures.append(Figure("memory of web, at most", memory[1], "MB"))
        found.append((name, {figure.name: figure.value for figure in figures}))
    return found


def _print_each(figures: Iterator[Figure]) -> Iterator[Figure]:
    for figure in figures:
        print(f"  {figure.name}: {figure.value:,.1f} {figure.unit}", flush=True)
        yield figure


@contextmanager
def _langgraph(*, tuned: bool) -> Iterator[tuple[subprocess.Popen[bytes], Client]]:
    """LangGraph's server in a copy of its folder, where it leaves files, and a client for it."""
    (port,) = free_ports(1)
    # By the interpreter: the script's first line does not work in a path with a space.
    script = [str(_SCRIPTS.absolute() / name) for name in ("python", "langgraph")]
    command = [*script, "dev", "--no-browser", "--no-reload", "--port", str(port)]
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(shutil.copytree(_FOLDER, Path(parent) / "langgraph"))
        environment = dict(os.environ) | {"LANGSMITH_TRACING": "false"}
        if tuned:
            environment["PYTHONPATH"] = str(folder / "tuned")
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        try:
            _wait_ready(f"http://{HOST}:{port}/ok", process, folder / "log")
            server = {"dialect": "langgraph", "host": HOST, "port": port, "headers": {}}
            with client(server) as measuring:
                yield process, measuring
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _READY_SECONDS
    while True:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except (urllib.error.URLError, OSError):
            assert process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < until, f"{url} does not answer"
            time.sleep(0.2)
