"""Start the processes of the stack, monitor them, and restart those that end unexpectedly.

One thread starts and stops all processes, so that no two threads do it at once. Also, Linux treats
the end of the thread that started a process as the end of its parent (see `parent_death.py`).
"""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future

from runyard_dev.errors import PartError
from runyard_dev.processes.process import CRASH_LIMIT, CRASH_WINDOW_SECONDS, ManagedProcess

_WATCH_SECONDS = 0.1


class ProcessMonitor:
    """The processes of a stack, in the order of their start."""

    def __init__(
        self,
        parts: list[ManagedProcess],
        refill: Callable[[ManagedProcess], None],
        report: Callable[[str], None],
    ) -> None:
        """Store the processes. `refill` receives each restarted process that is ready again."""
        self.stopping = threading.Event()
        self.failed = threading.Event()
        self.failure = ""
        self._parts = parts
        self._refill = refill
        self._report = report
        self._watching = False
        self._actions: queue.SimpleQueue[tuple[Callable[[], None], Future[None]]] = (
            queue.SimpleQueue()
        )
        self._thread = threading.Thread(target=self._work, name="keeper", daemon=True)
        self._thread.start()

    def spawn(self, part: ManagedProcess) -> None:
        """Start a process without waiting for it."""
        self._do(part.spawn)

    def watch(self) -> None:
        """Restart each process that ends unexpectedly from now on."""
        self._watching = True

    def stop_process(self, part: ManagedProcess, end: Callable[[ManagedProcess], None]) -> None:
        """Stop a process and do not restart it."""

        def action() -> None:
            part.should_run = False
            end(part)

        self._do(action)

    def start_process(self, part: ManagedProcess) -> None:
        """Start a stopped process and wait until it is ready."""
        self._do(lambda: self._start_again(part))

    def stop_all(self) -> None:
        """Stop all processes, the newest first, and this thread. Safe to call twice."""
        self.stopping.set()
        self._thread.join()

    def _do(self, action: Callable[[], None]) -> None:
        done: Future[None] = Future()
        self._actions.put((action, done))
        while not self.stopping.is_set() or done.done():
            try:
                return done.result(timeout=_WATCH_SECONDS)
            except TimeoutError:
                continue
        raise PartError("the stack is being stopped")

    def _work(self) -> None:
        try:
            self._work_until_stopped()
        finally:
            # In this thread: when it ends, the kernel kills the processes that it started.
            for part in reversed(self._parts):
                part.stop()

    def _work_until_stopped(self) -> None:
        while not self.stopping.is_set():
            try:
                action, done = self._actions.get(timeout=_WATCH_SECONDS)
            except queue.Empty:
                if self._watching:
                    self._look_after_all()
                continue
            try:
                action()
                done.set_result(None)
            except BaseException as exc:  # noqa: BLE001 - the caller gets it
                done.set_exception(exc)

    def _look_after_all(self) -> None:
        for part in self._parts:
            if part.should_run and part.has_ended() and not self.stopping.is_set():
                self._restart(part)

    def _restart(self, part: ManagedProcess) -> None:
        if part.crashes_again_and_again():
            self._fail(
                f"{part.name} ended {CRASH_LIMIT} times within {CRASH_WINDOW_SECONDS} s; "
                f"the end of {part.log}:\n{part.log_tail()}"
            )
            return
        code = part.process.returncode if part.process else None
        self._report(f"{part.name:<10}ended unexpectedly ({code}), starting it again")
        try:
            self._start_again(part)
        except PartError:
            # The process ended during its start: the next check finds and counts that.
            return
        except Exception as exc:  # noqa: BLE001 - no error may end this thread
            self._report(f"{part.name:<10}was started again but not filled: {exc}")
            return
        self._report(f"{part.name:<10}is back")

    def _start_again(self, part: ManagedProcess) -> None:
        part.spawn(append=True)
        part.wait_ready(self.stopping)
        self._refill(part)

    def _fail(self, reason: str) -> None:
        self._watching = False
        self.failure = reason
        self.failed.set()
