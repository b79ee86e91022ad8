"""A fake payment service: the tool server whose calls tests count."""

import threading
import time
from collections import Counter
from collections.abc import Callable

from tests.support.servers.loopback import Exchange, Received


class FakePaymentServer:
    """Record each call by its idempotency key. Use it as the `answer` of a LoopbackServer.

    `seconds` is the delay before and after the charge. `during_charge` runs once, in the middle of
    the next call. The next `busy[path]` calls of a path get HTTP 503 without a charge. A test can
    clear `release` to hold calls after the charge, for at most 20 s; `arrived` is set when a call
    is held.
    """

    def __init__(self) -> None:
        self.requests: dict[str, list[Received]] = {}
        self._charged: Counter[str] = Counter()
        self.during_charge: Callable[[], None] | None = None
        self.arrived = threading.Event()
        self.release = threading.Event()
        self.release.set()
        self.seconds = 0.0
        self.busy: Counter[str] = Counter()

    def __call__(self, request: Received, exchange: Exchange) -> None:
        """Receive a call."""
        if self.busy[request.path] > 0:
            self.busy[request.path] -= 1
            exchange.send_json(503, {"status": "busy"})
            return
        time.sleep(self.seconds)
        self._interrupt()
        key = request.headers.get("idempotency-key", "")
        self.requests.setdefault(key, []).append(request)
        self.arrived.set()
        self.release.wait(20)
        time.sleep(self.seconds)
        exchange.send_json(200, {"status": "charged"})

    def charge(self, key: str) -> None:
        """Charge without a request."""
        self._interrupt()
        self._charged[key] += 1

    def _interrupt(self) -> None:
        if self.during_charge:
            act, self.during_charge = self.during_charge, None
            act()

    @property
    def charges(self) -> Counter[str]:
        """Return the number of charges by idempotency key."""
        requested = {key: len(requests) for key, requests in list(self.requests.items())}
        return Counter(requested) + self._charged
