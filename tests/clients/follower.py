"""A running client: its process, and the events that it has written so far."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self


class Follower:
    """Run a client's command in a process that ends with the `with` block."""

    def __init__(self, command: Sequence[str]) -> None:
        self.seen: list[tuple[str, dict[str, Any]]] = []
        """The id and the data of each event, in order."""
        self._command = command
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # To end also what the client starts: curl, a browser.
        )
        self._reader.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._reader.join()
        for pipe in (self._process.stdout, self._process.stderr):
            assert pipe is not None
            pipe.close()
        self._process.wait()

    @property
    def ids(self) -> list[int]:
        """Return the ids of the events, in order."""
        return [int(event_id) for event_id, _ in self.seen]

    def wait(self, test: Callable[[], bool], seconds: float = 40) -> bool:
        """Return whether `test` returns True in time; call it after each event and every 0.1 s."""
        until = time.monotonic() + seconds
        with self._changed:
            while not test():
                if time.monotonic() > until:
                    return False
                self._changed.wait(0.1)
        return True

    def has_seen(self, events: int) -> bool:
        """Wait for this number of events; return whether they come in time."""
        return self.wait(lambda: len(self.seen) >= events)

    def end(self, seconds: float = 40) -> int:
        """Wait until the client ends by itself; return its exit code."""
        return self._process.wait(seconds)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            event_id, _, data = line.decode().partition(" ")
            with self._changed:
                self.seen.append((event_id, json.loads(data)))
                self._changed.notify_all()
