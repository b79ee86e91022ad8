"""How fast one access key may ask: a token bucket per key, in this process's memory.

What it is worth depends on the door. One process that serves everybody (the local stack, a
container) keeps the rate. On Lambda every instance is a process with buckets of its own and serves
one request at a time, so a key may ask *rate x instances*: there this only stops a client in a
tight loop, and what bounds the whole is the throttling of API Gateway and the functions' reserved
concurrency.
"""

import math
import time
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

from runyard_service.domain.errors import TooManyRequestsError

# A bucket holds this many seconds' worth: a page that loads asks for a dozen things at once.
BURST_SECONDS = 2.0
# Of the keys that asked last; one that falls out begins again with a full bucket.
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
        """Count one request of the key; `per_second` 0 counts none.

        Raises TooManyRequestsError, with the seconds until there is room, where the bucket is
        empty. `now` is a monotonic time in seconds, by default this moment.
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
