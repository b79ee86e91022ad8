"""Circuits: what this process knows of an address that fails again and again.

After five failures in a row a circuit is open, and whoever comes is turned away at once, so that
many runs do not each spend all their attempts on it. After a while one of them may try; a success
closes the circuit, a failure keeps it open for as long again.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from threading import Lock

from runyard_service.domain.clock import timestamp

FAILURES_IN_A_ROW = 5
OPEN_SECONDS = 30.0
# What an address may ask for by its own Retry-After.
LONGEST_OPEN_SECONDS = 300.0
# Addresses may come from a tool's arguments: only so many are remembered.
_MAX_CIRCUITS = 1_000

Clock = Callable[[], float]


class CircuitBreaker:
    """One address. Safe to share between threads; `clock` gives seconds since the epoch.

    Not a monotonic clock: that one stands still while a Lambda is frozen.
    """

    def __init__(self, clock: Clock = time.time) -> None:
        self._clock = clock
        self._lock = Lock()
        self._failures = 0
        self._open_until = 0.0
        self._last = ""

    def open_reason(self) -> str:
        """Why nobody should try now; empty where the caller may."""
        with self._lock:
            if self._failures < FAILURES_IN_A_ROW:
                return ""
            now = self._clock()
            if now >= self._open_until:
                # The caller's is the one attempt; should it be lost, another comes as much later.
                self._open_until = now + OPEN_SECONDS
                return ""
            return f"Not tried, after {self._failures} failures in a row. {self._last}"

    def record_success(self) -> None:
        """An attempt has come through, whatever the answer was."""
        with self._lock:
            self._failures = 0

    def record_failure(self, what: str, retry_after: float | None = None) -> None:
        """An attempt has not; `what` says how."""
        with self._lock:
            now = self._clock()
            self._failures += 1
            self._last = describe_failure(what, now)
            wish = min(retry_after or 0, LONGEST_OPEN_SECONDS)
            self._open_until = now + max(OPEN_SECONDS, wish)


class CircuitBreakers:
    """The circuits of one process, by the names of their addresses."""

    def __init__(self, clock: Clock = time.time) -> None:
        self._clock = clock
        self._lock = Lock()
        self._circuits: OrderedDict[str, CircuitBreaker] = OrderedDict()

    def of(self, name: str) -> CircuitBreaker:
        """The circuit of this name."""
        with self._lock:
            circuit = self._circuits.setdefault(name, CircuitBreaker(self._clock))
            self._circuits.move_to_end(name)
            if len(self._circuits) > _MAX_CIRCUITS:
                self._circuits.popitem(last=False)
            return circuit


def describe_failure(what: str, at: float) -> str:
    """What happened, and when."""
    return f"{what} Tried last at {timestamp(datetime.fromtimestamp(at, UTC))}."
