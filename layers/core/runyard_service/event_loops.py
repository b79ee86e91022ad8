"""Run coroutines in a thread that handles its calls in sequence, as Lambda's only thread does."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

_Result = TypeVar("_Result")

_loops = threading.local()


def event_loop() -> asyncio.AbstractEventLoop:
    """Return this thread's own event loop, which lives as long as the thread.

    A Lambda process has one thread. Connections that a warm process reuses belong to its loop.
    """
    if not hasattr(_loops, "loop"):
        _loops.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(_loops.loop)
    loop: asyncio.AbstractEventLoop = _loops.loop
    return loop


def run_async(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Run a coroutine to its end on this thread's event loop, and return its result."""
    return event_loop().run_until_complete(work)
