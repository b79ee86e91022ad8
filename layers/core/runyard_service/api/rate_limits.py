"""Rate limit of each access key: a token bucket per key, in the memory of this process.

A single process (the local stack, a container) enforces the configured rate. On Lambda, each
instance has its own buckets, so the effective limit is *rate x instances*. There, the buckets only
stop a client in a tight loop. The throttling of API Gateway and the reserved concurrency of the
functions limit the total.
"""

import math
import time
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

from runyard_service.domain.errors import TooManyRequestsError

# The capacity of a bucket, in seconds of the rate: a web page sends a dozen requests at once.
BURST_SECONDS = 2.0
# Buckets of the most recent keys. A key whose bucket was evicted starts with a full bucket.
_MAX_BUCKETS = 10_000


@dataclass
class _Bucket:
    tokens: float
    filled_at: float


class RateLimits:
    """The buckets of this process."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._lock = Lock()

    def acquire(self, key_id: str, per_second: float, now: float | None = None) -> None:
        """Take a token from the bucket of the key. A rate of 0 per second disables the limit.

        Raise TooManyRequestsError, with the seconds until the next token, if the bucket is empty.
        `now` is a monotonic time in seconds, by default the current time.
        """
        if per_second <= 0:
            return
        now = time.monotonic() if now is None else now
        capacity = max(1.0, per_second * BURST_SECONDS)
        with self._lock:
            bucket = self._buckets.setdefault(key_id, _Bucket(capacity, now))
            self._buckets.move_to_end(key_id)
            if len(self._buckets) > _MAX_BUCKETS:
                self._buckets.popitem(last=False)
            gained = (now - bucket.filled_at) * per_second
            bucket.tokens = min(capacity, bucket.tokens + gained)
            bucket.filled_at = now
            if bucket.tokens < 1:
                wait = math.ceil((1 - bucket.tokens) / per_second)
                raise TooManyRequestsError(retry_after=max(1, wait))
            bucket.tokens -= 1
