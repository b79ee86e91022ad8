"""Ctrl-C and `--timeout` of a command that follows a run."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self


class TimeIsUpError(Exception):
    """The seconds of `--timeout` are over."""


class Interrupts:
    """Raise KeyboardInterrupt and TimeIsUpError, but never while an event is written.

    So the last event that was written is exactly known, and `follow --from` repeats none.
    """

    def __init__(self, timeout: float | None) -> None:
        """Store the seconds until TimeIsUpError; None for no limit."""
        self._timeout = timeout
        self._is_shielded = False
        self._pending: BaseException | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        """Install the handlers of the signals, and start the time."""
        self._previous[signal.SIGINT] = signal.signal(signal.SIGINT, self._on_signal)
        if self._timeout:
            self._previous[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._on_signal)
            signal.setitimer(signal.ITIMER_REAL, self._timeout)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the time and restore the handlers."""
        if self._timeout:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    @contextmanager
    def delayed(self) -> Iterator[None]:
        """Delay both errors to the end of the block."""
        self._is_shielded = True
        try:
            yield
        finally:
            self._is_shielded = False
        if self._pending is not None:
            raise self._pending

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        error = KeyboardInterrupt() if number == signal.SIGINT else TimeIsUpError()
        if not self._is_shielded:
            raise error
        self._pending = error
