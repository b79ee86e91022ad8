"""A clock that can be moved forward, in place of the one in `runyard_service.domain.clock`."""

from datetime import datetime, timedelta, tzinfo


class FakeClock(datetime):
    """A clock that can be moved forward."""

    ahead = timedelta()

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "FakeClock":
        """Return the current time plus the offset."""
        return super().now(tz) + cls.ahead

    @classmethod
    def move_forward(cls, seconds: float) -> None:
        """Let this time pass at once."""
        cls.ahead += timedelta(seconds=seconds)
