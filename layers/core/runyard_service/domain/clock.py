"""Time as the wire has it: RFC 3339, UTC, `Z`, milliseconds."""

from datetime import UTC, datetime, timedelta


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)


def timestamp(moment: datetime | None = None) -> str:
    """A moment (default: this one) as text that sorts by time: `2026-06-10T09:15:21.042Z`."""
    moment = (moment or now()).astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def parse(text: str) -> datetime:
    """The moment that `stamp` wrote."""
    return datetime.fromisoformat(text)


def timestamp_in(seconds: float) -> str:
    """The moment that many seconds from now, as text."""
    return timestamp(now() + timedelta(seconds=seconds))
