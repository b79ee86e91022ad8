"""Token buckets: a burst first, then the rate; each key has its own bucket."""

import pytest

from runyard_service.api import rate_limits
from runyard_service.api.rate_limits import OpenStreams, RateLimits
from runyard_service.domain.request_errors import TooManyRequestsError


def admitted(limits: RateLimits, per_second: float, now: float, key_id: str = "key") -> int:
    """Return the number of requests that the limits admit at this moment."""
    for count in range(10_000):
        try:
            limits.acquire(key_id, per_second, now)
        except TooManyRequestsError:
            return count
    return 10_000


def test_a_full_bucket_holds_a_burst_and_fills_at_the_rate() -> None:
    limits = RateLimits()
    assert admitted(limits, 10, now=100.0) == 20
    assert admitted(limits, 10, now=100.0) == 0
    assert admitted(limits, 10, now=100.5) == 5
    assert admitted(limits, 10, now=1000.0) == 20


def test_each_key_has_its_own_bucket() -> None:
    limits = RateLimits()
    assert admitted(limits, 1, now=0.0, key_id="a") == 2
    assert admitted(limits, 1, now=0.0, key_id="b") == 2


@pytest.mark.parametrize(("per_second", "seconds"), [(100, 1), (1, 1), (0.1, 10)])
def test_the_error_states_how_long_to_wait(per_second: float, seconds: int) -> None:
    limits = RateLimits()
    admitted(limits, per_second, now=0.0)
    with pytest.raises(TooManyRequestsError) as rejected:
        limits.acquire("key", per_second, 0.0)
    assert rejected.value.retry_after == seconds
    limits.acquire("key", per_second, float(seconds))


def test_zero_means_no_limit() -> None:
    assert admitted(RateLimits(), 0, now=0.0) == 10_000


def test_the_number_of_buckets_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits, "_MAX_BUCKETS", 3)
    limits = RateLimits()
    for number in range(10):
        limits.acquire(f"key {number}", 1, 0.0)
    assert len(limits._buckets) == 3


def test_a_check_without_tokens_takes_none() -> None:
    limits = RateLimits()
    for _ in range(5):
        limits.acquire("source", 1, 0.0, tokens=0)
    assert admitted(limits, 1, now=0.0, key_id="source") == 2
    with pytest.raises(TooManyRequestsError):
        limits.acquire("source", 1, 0.0, tokens=0)


def test_the_open_streams_of_a_key_are_limited() -> None:
    streams = OpenStreams()
    closings = [streams.open("key", 2) for _ in range(2)]
    streams.open("another key", 2)
    with pytest.raises(TooManyRequestsError) as rejected:
        streams.open("key", 2)
    assert rejected.value.details["stream"].startswith("already has 2 open streams")
    for close in closings:
        close()
    assert set(streams._counts) == {"another key"}
    streams.open("key", 2)
