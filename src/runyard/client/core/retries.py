"""When a request is sent again."""

import random
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

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
    if isinstance(answer, Failure):
        return pause(attempt)
    asked = retry_after(answer.headers) or 0.0
    if answer.status not in RETRIED_STATUSES or asked > MAX_RETRY_AFTER:
        return None
    return max(pause(attempt), asked)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds in `Retry-After`, a number or a date, or None without it."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, at.timestamp() - time.time())
