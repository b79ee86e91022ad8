"""Polling for an effect of another thread or process."""

import time
from collections.abc import Callable
from typing import Any

_POLL_SECONDS = 0.02


def wait_until(
    condition: Callable[[], Any],
    seconds: float = 60,
    describe: Callable[[], Any] | None = None,
) -> Any:
    """Return the first truthy result of `condition`, which is called every 20 ms.

    Raise AssertionError after `seconds`. Its message is the result of `describe`, if given.
    """
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, describe() if describe else f"false for {seconds} s"
        time.sleep(_POLL_SECONDS)
    return found
