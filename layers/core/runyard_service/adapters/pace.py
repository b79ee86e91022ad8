"""Space the calls of an AWS API that has a low quota: wait instead of being throttled."""

import time
from collections.abc import Callable


class Pace:
    """A token bucket of one process and one thread: `burst` calls at once, then `per_second`."""

    def __init__(
        self,
        burst: int,
        per_second: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._burst = burst
        self._per_second = per_second
        self._clock = clock
        self._sleep = sleep
        self._tokens = float(burst)
        self._filled_at: float | None = None

    def wait(self) -> None:
        """Wait until the next call may start."""
        self._fill()
        if self._tokens < 1:
            self._sleep((1 - self._tokens) / self._per_second)
            self._fill()
        self._tokens -= 1

    def _fill(self) -> None:
        now = self._clock()
        if self._filled_at is not None:
            gained = (now - self._filled_at) * self._per_second
            self._tokens = min(self._burst, self._tokens + gained)
        self._filled_at = now
