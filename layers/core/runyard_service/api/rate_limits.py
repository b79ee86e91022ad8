"""Rate limits of access keys and of sources: a token bucket each, in the memory of this process.

A source is an address. Each rejected key or ticket takes a token of its source. A source without a
token cannot have another key looked up. Keys in the cache are not affected.

A single process (the local stack, a container) enforces the configured rate. On Lambda, each
instance has its own buckets, so the effective limit is *rate x instances*. There, the buckets only
stop a client in a tight loop. The throttling of API Gateway and the reserved concurrency of the
functions limit the total.
"""

import math
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from runyard_service.domain.request_errors import TooManyRequestsError

# The capacity of a bucket, in seconds of the rate: a web page sends a dozen requests at once.
BURST_SECONDS = 2.0
# The most recent buckets. A key whose bucket was evicted starts with a full bucket.
_MAX_BUCKETS = 10_000
# A stream usually lasts for seconds to minutes.
_STREAM_RETRY_SECONDS = 5


@dataclass
class _Bucket:
    tokens: float
    filled_at: float


class RateLimits:
    """The buckets of this process."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._lock = Lock()

    def acquire(
        self, name: str, per_second: float, now: float | None = None, *, tokens: int = 1
    ) -> None:
        """Take tokens from the bucket of this name. A rate of 0 per second disables the limit.

        Raise TooManyRequestsError, with the seconds until the next token, if the bucket is empty.
        With 0 tokens, only check it. `now` is a monotonic time in seconds, by default the current
        time.
        """
        if per_second <= 0:
            return
        now = time.monotonic() if now is None else now
        capacity = max(1.0, per_second * BURST_SECONDS)
        with self._lock:
            bucket = self._buckets.setdefault(name, _Bucket(capacity, now))
            self._buckets.move_to_end(name)
            if len(self._buckets) > _MAX_BUCKETS:
                self._buckets.popitem(last=False)
            gained = (now - bucket.filled_at) * per_second
            bucket.tokens = min(capacity, bucket.tokens + gained)
            bucket.filled_at = now
            if bucket.tokens < 1:
                wait = math.ceil((1 - bucket.tokens) / per_second)
                raise TooManyRequestsError(retry_after=max(1, wait))
            bucket.tokens -= tokens


class OpenStreams:
    """The number of open streams of each key in this process."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def open(self, owner: str, limit: int) -> Callable[[], None]:
        """Count a stream, and return what ends it. A limit of 0 disables the limit.

        Raise TooManyRequestsError if the owner has `limit` open streams.
        """
        if limit and self._counts[owner] >= limit:
            issue = f"already has {limit} open streams; close one, or share its events"
            raise TooManyRequestsError({"stream": issue}, retry_after=_STREAM_RETRY_SECONDS)
        self._counts[owner] += 1

        def close() -> None:
            self._counts[owner] -= 1
            if self._counts[owner] <= 0:
                del self._counts[owner]

        return close
