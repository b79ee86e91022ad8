"""Circuit breakers: stop calling an address that fails repeatedly, within this process.

After five failures in a row a circuit opens and rejects calls at once. Otherwise many runs would
each spend all their attempts on the address. After 30 seconds the circuit lets a single call
through. A success closes the circuit; a failure leaves it open for another 30 seconds.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from threading import Lock

from runyard_service.domain.clock import timestamp

FAILURES_IN_A_ROW = 5
OPEN_SECONDS = 30.0
# Upper limit for the Retry-After of an address.
LONGEST_OPEN_SECONDS = 300.0
# Addresses may come from a tool's arguments, so the number of circuits is limited.
_MAX_CIRCUITS = 1_000

Clock = Callable[[], float]


class CircuitBreaker:
    """The circuit of one address. Threads may share it; `clock` returns seconds since the epoch.

    The clock is not monotonic, because a monotonic clock stops while Lambda freezes the process.
    """

    def __init__(self, clock: Clock = time.time) -> None:
        self._clock = clock
        self._lock = Lock()
        self._failures = 0
        self._open_until = 0.0
        self._last = ""
        self.last_details: object = None

    def open_reason(self) -> str:
        """Return why the caller must not try now; an empty string if the caller may try."""
        with self._lock:
            if self._failures < FAILURES_IN_A_ROW:
                return ""
            now = self._clock()
            if now >= self._open_until:
                # Only this caller may try. If its result is lost, another call may try after the
                # same time.
                self._open_until = now + OPEN_SECONDS
                return ""
            return f"{self._last} Not tried again, after {self._failures} failures in a row."

    def record_success(self) -> None:
        """Record that the address responded, with any status."""
        with self._lock:
            self._failures = 0

    def record_failure(
        self, what: str, retry_after: float | None = None, details: object = None
    ) -> None:
        """Record that an attempt failed; `what` describes it, callers read `details`."""
        with self._lock:
            now = self._clock()
            self._failures += 1
            self._last, self.last_details = describe_failure(what, now), details
            requested = min(retry_after or 0, LONGEST_OPEN_SECONDS)
            self._open_until = now + max(OPEN_SECONDS, requested)


class CircuitBreakers:
    """The circuits of one process, by name of the address."""

    def __init__(self, clock: Clock = time.time) -> None:
        self._clock = clock
        self._lock = Lock()
        self._circuits: OrderedDict[str, CircuitBreaker] = OrderedDict()

    def of(self, name: str) -> CircuitBreaker:
        """Return the circuit of this name; create it if it is missing."""
        with self._lock:
            circuit = self._circuits.setdefault(name, CircuitBreaker(self._clock))
            self._circuits.move_to_end(name)
            if len(self._circuits) > _MAX_CIRCUITS:
                self._circuits.popitem(last=False)
            return circuit


def describe_failure(what: str, at: float) -> str:
    """Return the text of a failure with its time; `at` is in seconds since the epoch."""
    return f"{what} Tried last at {timestamp(datetime.fromtimestamp(at, UTC))}."
