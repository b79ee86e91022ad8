"""The command `runyard` in a terminal: a pseudo-terminal that a test reads and types into."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

_SECONDS = 60.0


class Terminal:
    """A process in a pseudo-terminal. `screen` is everything that it has written."""

    def __init__(self, process: "subprocess.Popen[bytes]", handle: int) -> None:
        self.process = process
        self.screen = ""
        self._handle = handle
        self._position = 0

    def expect(self, pattern: str) -> str:
        """Read until the text after the previous match has the pattern; return the match."""
        until = time.monotonic() + _SECONDS
        while not (found := re.compile(pattern).search(self.screen, self._position)):
            assert time.monotonic() < until, f"no {pattern!r} in:\n{self.screen}"
            assert self._read(0.2) or self.process.poll() is None, (
                f"ended without {pattern!r}:\n{self.screen}"
            )
        self._position = found.end()
        return found[0]

    def type(self, text: str) -> None:
        """Type a line."""
        os.write(self._handle, f"{text}\n".encode())

    def press_ctrl_c(self) -> None:
        """Press Ctrl-C: the terminal sends SIGINT to the process."""
        os.write(self._handle, b"\x03")

    def leave(self) -> int:
        """Press Ctrl-C until the process ends; return the exit code.

        A SIGINT between readline's prompt and its wait for a key has no effect before the next key.
        """
        while self.process.poll() is None:
            self.press_ctrl_c()
            until = time.monotonic() + 3
            while self.process.poll() is None and time.monotonic() < until:
                self._read(0.2)
        return self.wait()

    def wait(self) -> int:
        """Read to the end, and return the exit code."""
        while self._read(0.2) or self.process.poll() is None:
            pass
        return self.process.wait(timeout=_SECONDS)

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self._handle], [], [], seconds)
        if not ready:
            return False
        try:
            chunk = os.read(self._handle, 65_536)
        except OSError:  # The process has closed the terminal.
            return False
        self.screen += chunk.decode(errors="replace").replace("\r\n", "\n")
        return bool(chunk)


def open_terminal(
    *words: str, environment: Mapping[str, str], columns: int = 100
) -> AbstractContextManager[Terminal]:
    """Run `runyard` with these words in a terminal of this width; end it after the block."""
    return open_command([sys.executable, "-m", "runyard", *words], environment, columns)


@contextmanager
def open_command(
    command: Sequence[str], environment: Mapping[str, str], columns: int = 100
) -> Iterator[Terminal]:
    """Run any command in a terminal of this width; end it after the block."""

    def own_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        # A test run in the background of a shell ignores SIGINT, and children inherit this.
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen(
        command,
        stdin=child,
        stdout=child,
        stderr=child,
        env=dict(environment),
        start_new_session=True,
        preexec_fn=own_terminal,
    )
    os.close(child)
    try:
        yield Terminal(process, parent)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()
        os.close(parent)
