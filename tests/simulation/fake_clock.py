"""A clock that only a test moves, in place of the one in `runyard_service.domain.clock`."""

from datetime import UTC, datetime, timedelta, tzinfo

_START = datetime.now(UTC)
# Each reading is later than the one before, as on a real clock.
_TICK = timedelta(milliseconds=1)


class FakeClock(datetime):
    """A clock that real time does not move, so a slow machine takes the same decisions."""

    ahead = timedelta()

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        """Return the time of the first import plus the offset."""
        cls.ahead += _TICK
        return (_START + cls.ahead).astimezone(tz)

    @classmethod
    def move_forward(cls, seconds: float) -> None:
        """Let this time pass at once."""
        cls.ahead += timedelta(seconds=seconds)
