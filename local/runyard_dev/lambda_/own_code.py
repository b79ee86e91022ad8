"""Functions in the user's own code: `./folder/app.py:handler`, or a name in `template.yaml`.

Each runs in processes of its own, with the interpreter of the nearest `.venv`, else this one. As on
Lambda, a process has one invocation at a time. It ends after two invocations, so that each second
one is cold, and code that wrongly depends on the memory of a process fails early. Changed files are
read by the next invocation.
"""

import hashlib
import json
import os
import re
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runyard_dev.lambda_.template_functions import Handler, find_handler
from runyard_dev.processes import parent_death

_NAME = re.compile(r"^(?P<file>[^:]+\.py):(?P<handler>[A-Za-z_]\w*)$")
_WORKER = Path(__file__).with_name("agent_process.py")
_INVOCATIONS_PER_PROCESS = 2
# The function answers by itself when its time is over, except if the process is stuck.
_GRACE_SECONDS = 10.0


@dataclass(frozen=True)
class AgentFile:
    """The file and the handler of an agent, and the digest of the Python files of its folder."""

    file: Path
    handler: str
    sha256: str


@dataclass
class _Process:
    process: "subprocess.Popen[bytes]"
    sha256: str
    invocations: int = 0

    def ask(self, request: bytes, seconds: float) -> bytes | None:
        """Return the answer as a line: empty if the process ended, None if it is too late."""
        assert self.process.stdin is not None
        self.invocations += 1
        try:
            self.process.stdin.write(request.replace(b"\n", b" ") + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return b""
        return _read_line(self.process, time.monotonic() + seconds)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()


@dataclass
class OwnCode:
    """The processes of the agents below `base`, the folder that contains `agents/`."""

    base: Path
    _idle: dict[str, list[_Process]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def find(self, name: str) -> AgentFile | None:
        """Return the file of this function; None if no file and no `template.yaml` has it."""
        if match := _NAME.match(name):
            found = Handler((self.base / match["file"]).resolve(), match["handler"])
        elif named := find_handler(self.base / "template.yaml", name):
            found = named
        else:
            return None
        if not found.file.is_file():
            return None
        return AgentFile(found.file, found.handler, _digest(found.file.parent))

    def invoke(self, agent: AgentFile, payload: bytes) -> tuple[bytes, bool]:
        """Return the payload of the function's response, and whether the function failed."""
        process = self._take(agent)
        line = process.ask(payload, _seconds_for(payload))
        if not line:
            process.end()
            kind = "Sandbox.Timedout" if line is None else "Runtime.ExitError"
            failure = {"errorType": kind, "errorMessage": "The process did not answer."}
            return json.dumps(failure).encode(), True
        self._return_process(agent, process)
        response: dict[str, Any] = json.loads(line)
        if "failure" in response:
            return json.dumps(response["failure"]).encode(), True
        return json.dumps(response["payload"]).encode(), False

    def close(self) -> None:
        """End all processes."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for processes in idle.values():
            for process in processes:
                process.end()

    def _take(self, agent: AgentFile) -> _Process:
        with self._lock:
            processes = self._idle.setdefault(_key(agent), [])
            outdated = [process for process in processes if process.sha256 != agent.sha256]
            processes[:] = [process for process in processes if process not in outdated]
            found = processes.pop() if processes else None
        for process in outdated:
            process.end()
        return found or _start(agent, self.base)

    def _return_process(self, agent: AgentFile, process: _Process) -> None:
        if process.invocations >= _INVOCATIONS_PER_PROCESS:
            process.end()
            return
        with self._lock:
            self._idle.setdefault(_key(agent), []).append(process)


def _key(agent: AgentFile) -> str:
    return f"{agent.file}:{agent.handler}"


def _start(agent: AgentFile, base: Path) -> _Process:
    command = [str(interpreter_for(agent.file, base)), str(_WORKER), str(agent.file), agent.handler]
    # The process ends with this one, also if this one is killed.
    supervised = [sys.executable, str(parent_death.__file__), str(os.getpid()), *command]
    return _Process(
        subprocess.Popen(
            supervised, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=agent.file.parent
        ),
        agent.sha256,
    )


def interpreter_for(file: Path, base: Path) -> Path:
    """Return the interpreter of the nearest `.venv` from the file's folder up to `base`."""
    for folder in _folders(file.parent, base):
        python = folder / ".venv" / "bin" / "python"
        if python.is_file():
            return python
    return Path(sys.executable)


def _folders(start: Path, end: Path) -> Iterator[Path]:
    yield start
    if start != end.resolve():
        for parent in start.parents:
            yield parent
            if parent == end.resolve():
                return


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        if not {".venv", "node_modules", "__pycache__"} & set(path.relative_to(folder).parts):
            digest.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _seconds_for(payload: bytes) -> float:
    try:
        not_after = datetime.fromisoformat(json.loads(payload)["not_after"])
    except (ValueError, KeyError, TypeError):
        return _GRACE_SECONDS
    return max(0.0, (not_after - datetime.now(UTC)).total_seconds()) + _GRACE_SECONDS


def _read_line(process: "subprocess.Popen[bytes]", deadline: float) -> bytes | None:
    """Return the next line: empty at the end of the output, None after the deadline."""
    assert process.stdout is not None
    pieces = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while not pieces.endswith(b"\n"):
            if not selector.select(max(0.0, deadline - time.monotonic())):
                return None
            piece = process.stdout.read1(1024 * 1024)  # type: ignore[attr-defined]
            if not piece:
                return b""
            pieces += piece
    return bytes(pieces)
