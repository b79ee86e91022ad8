"""The Lambda endpoint as several processes that share its port, like Lambda's environments.

A worker that dies loses only its active invocations, and is replaced at once: a fork has imported
the handlers already.
"""

import os
import threading
import time
from typing import NoReturn

from runyard_dev.emulators.loopback_http import LoopbackServer

_WATCH_SECONDS = 0.2


def serve_by_workers(server: LoopbackServer, workers: int) -> NoReturn:
    """Serve until killed. Call it while this process has one thread: only that one is forked."""
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
        os._exit(1)  # Not through the parent's own way out.


def _end_with(parent: int) -> None:
    """Exit when the parent process ends."""
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    os._exit(0)
