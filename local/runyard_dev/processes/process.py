"""A process of the local stack: start it, wait until it is ready, stop it, write its log file."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runyard_dev.emulators.loopback_http import HOST
from runyard_dev.errors import PartError
from runyard_dev.processes import parent_death

READY_SECONDS = 60  # A cold file cache on a busy machine; usually 0.1 to 3 s.
STOP_SECONDS = 3

# A process that ends this often within this time is broken.
CRASH_LIMIT = 3
CRASH_WINDOW_SECONDS = 30

# Requests to loopback do not use the proxy of the environment.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass
class ManagedProcess:
    """A supervised process that listens on `port`; 0 if it does not listen on a port."""

    name: str
    description: str
    command: Sequence[str]
    port: int
    log: Path
    environment: Mapping[str, str]
    ready_path: str | None = None
    """Answers 200 when the part is ready; None: it is ready when it accepts connections."""
    process: subprocess.Popen[bytes] | None = None
    should_run: bool = True
    """False after `LocalStack.kill`: the part stays down until it is started again."""
    _ends: deque[float] = field(default_factory=lambda: deque(maxlen=CRASH_LIMIT))

    def spawn(self, *, append: bool = False) -> None:
        """Start the process. Call it from a thread that lives as long as the stack.

        Linux treats the end of the starting *thread* as the death of the parent.
        """
        wrapper = [sys.executable, "-I", "-S", parent_death.__file__, str(os.getpid())]
        with self.log.open("ab" if append else "wb") as log:
            # A new session: Ctrl-C in the terminal reaches only the supervisor, which stops the
            # processes in their order.
            self.process = subprocess.Popen(
                [*wrapper, *self.command],
                # Its log is UTF-8, whatever the terminal is.
                env={**self.environment, "PYTHONIOENCODING": "utf-8"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.should_run = True

    def wait_ready(self, stopping: threading.Event) -> None:
        """Return when the process is ready. Raise PartError with the end of its log otherwise."""
        deadline = time.monotonic() + READY_SECONDS
        while not self._answers():
            if stopping.is_set():
                raise PartError("the stack is being stopped")
            if self.has_ended():
                raise PartError(f"{self.name} ended while it started:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise PartError(f"{self.name} is not ready after {READY_SECONDS} s")
            time.sleep(0.02)

    def has_ended(self) -> bool:
        """Return whether the process was started and has ended."""
        return self.process is not None and self.process.poll() is not None

    def crashes_again_and_again(self) -> bool:
        """Record an unexpected end. Return True for the third within half a minute."""
        self._ends.append(time.monotonic())
        return len(self._ends) == CRASH_LIMIT and self._ends[-1] - self._ends[0] < (
            CRASH_WINDOW_SECONDS
        )

    def stop(self) -> None:
        """Stop the process with SIGTERM, then with SIGKILL."""
        self._signal(signal.SIGTERM)
        if self.process is not None:
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """Kill the process with SIGKILL."""
        self._signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()

    def log_tail(self, lines: int = 15) -> str:
        """Return the last lines of the log, indented."""
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])

    def _signal(self, number: int) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def _answers(self) -> bool:
        if self.ready_path is None:
            with socket.socket() as connection:
                connection.settimeout(1)
                return connection.connect_ex((HOST, self.port)) == 0
        try:
            with _opener.open(f"http://{HOST}:{self.port}{self.ready_path}", timeout=1) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


def free_ports(count: int) -> list[int]:
    """Return this number of free ports, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def port_is_taken(port: int) -> bool:
    """Return whether a process listens on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    return False
