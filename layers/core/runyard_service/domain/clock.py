"""Timestamps in the wire format: RFC 3339, UTC, `Z`, milliseconds."""

from datetime import UTC, datetime, timedelta


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


def seconds_until(text: str) -> float:
    """Return the seconds until this time; negative if it has passed."""
    return (parse(text) - now()).total_seconds()


def timestamp_in(seconds: float) -> str:
    """Return the time `seconds` from now as text."""
    return timestamp(now() + timedelta(seconds=seconds))
