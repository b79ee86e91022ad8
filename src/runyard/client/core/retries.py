"""When a request is sent again."""

import random
from collections.abc import Mapping

from runyard.client.core.effects import Failure, Request, Response

MAX_RETRIES = 2
RETRIED_STATUSES = frozenset({429, 502, 503, 504})
MAX_RETRY_AFTER = 60.0
"""Seconds. A service that asks for a longer pause gets no retry."""
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 15.0


def pause(attempt: int) -> float:
    """Return the seconds before retry `attempt`, from 0: half a second, doubled, with jitter."""
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(attempt, 10))
    return random.uniform(longest / 2, longest)


def retry_pause(request: Request, answer: Response | Failure, attempt: int) -> float | None:
    """Return the seconds before the next try, or None if there is none."""
    if attempt >= MAX_RETRIES or not request.is_repeatable:
        return None
    return pause_after(answer, attempt)


def pause_after(answer: Response | Failure, attempt: int) -> float | None:
    """Return the seconds before the next try of a repeatable request; None after a final answer."""
    if isinstance(answer, Failure):
        return pause(attempt)
    if answer.status not in RETRIED_STATUSES:
        return None
    asked = retry_after(answer.headers)
    if asked is None:
        return pause(attempt)
    return asked + random.uniform(0, FIRST_PAUSE) if asked <= MAX_RETRY_AFTER else None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds in `Retry-After`, or None without a number."""
    try:
        seconds = float(headers.get("retry-after", ""))
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None
