"""Timestamps in the wire format: RFC 3339, UTC, `Z`, milliseconds."""

import re
from datetime import UTC, datetime, timedelta

# RFC 3339, section 5.6.
_RFC_3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
# Timestamps of these years sort by time.
_YEARS = (1000, 8999)
_MILLISECOND = timedelta(milliseconds=1)


def now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


def timestamp(moment: datetime | None = None) -> str:
    """Return a time (default: now) as text that sorts by time: `2026-06-10T09:15:21.042Z`."""
    moment = (moment or now()).astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def parse(text: str) -> datetime:
    """Parse a text that `timestamp` returned."""
    return datetime.fromisoformat(text)


def parse_rfc_3339(text: str) -> str | None:
    """Return an RFC 3339 time as `timestamp` writes it, or None if it is not such a time.

    A part of a millisecond is rounded up. So a timestamp is before the time exactly if it is before
    the result.
    """
    if not _RFC_3339.fullmatch(text):
        return None
    # Python reads the first six digits of a fraction.
    has_rest = re.search(r"\.\d{3}\d*[1-9]", text) is not None
    try:
        moment = datetime.fromisoformat(text.upper()).astimezone(UTC)
        moment += _MILLISECOND if has_rest else timedelta()
    except (ValueError, OverflowError):
        return None
    return timestamp(moment) if _YEARS[0] <= moment.year <= _YEARS[1] else None


def seconds_until(text: str) -> float:
    """Return the seconds until this time; negative if it has passed."""
    return (parse(text) - now()).total_seconds()


def timestamp_in(seconds: float) -> str:
    """Return the time `seconds` from now as text."""
    return timestamp(now() + timedelta(seconds=seconds))
