"""Run the Lambda endpoint as several processes that share its port.

If a worker dies, its active invocations are lost and a new worker starts at once. The new worker
is a fork, so it has already imported the handlers.
"""

import os
import threading
import time
from typing import NoReturn

from runyard_dev.emulators.loopback_http import LoopbackServer

_WATCH_SECONDS = 0.2


def serve_by_workers(server: LoopbackServer, workers: int) -> NoReturn:
    """Serve until killed. Call it while the process has one thread: a fork copies only one."""
    living: set[int] = set()
    while True:
        while len(living) < workers:
            living.add(_fork(server))
        died, _ = os.wait()
        living.discard(died)


def _fork(server: LoopbackServer) -> int:
    parent = os.getpid()
    if worker := os.fork():
        return worker
    try:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
        server.serve_forever()
    finally:
        os._exit(1)  # Without the exit handlers of the parent.


def _end_with(parent: int) -> None:
    """Exit when the parent process ends."""
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    os._exit(0)
