"""Read streams and queues and invoke the functions, as Lambda's event source mappings do.

Payloads and the handling of responses are Lambda's: items that a function reports as failed are
delivered again. There are two differences. A batch of a stream that fails is retried until it
succeeds (Lambda splits it, and stops after a limit), and both kinds of source are polled.
"""

import threading
from collections.abc import Callable, Mapping
from http.client import HTTPException

from botocore.exceptions import BotoCoreError, ClientError

from runyard_dev.emulators.queue_source import QueueSource
from runyard_dev.emulators.stream_source import StreamCheckpoints, StreamSource
from runyard_dev.errors import InvocationFailedError, LocalStackError
from runyard_dev.template.sources import EventSource

# With two readers a slow receiver does not block the other deliveries.
_QUEUE_READERS = 2
_SHORTEST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 0.5
_PAUSE_AFTER_ERROR_SECONDS = 1.0
# Errors that end when a process has restarted, or that must not stop the stack.
_ERRORS = (
    *(BotoCoreError, ClientError, HTTPException),
    *(InvocationFailedError, LocalStackError, OSError),
)


class EventSources:
    """The mappings of one stack. Each mapping has threads of its own."""

    def __init__(
        self,
        mappings: tuple[EventSource, ...],
        environment: Mapping[str, str],
        checkpoints: StreamCheckpoints,
        report: Callable[[str], None],
    ) -> None:
        """Store the mappings; `start` reads them."""
        self._report = report
        self._stopping = threading.Event()
        turns: list[Callable[[], bool]] = []
        for mapping in mappings:
            if mapping.service == "dynamodb":
                turns.append(StreamSource(mapping, environment, checkpoints).poll_once)
            else:
                source = QueueSource(mapping, environment)
                turns += [source.poll_once] * _QUEUE_READERS
        self._threads = [
            threading.Thread(target=self._read, args=(turn,), name="event source", daemon=True)
            for turn in turns
        ]

    def start(self) -> None:
        """Start reading."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop reading. Safe to call twice."""
        self._stopping.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout=1)

    def _read(self, turn: Callable[[], bool]) -> None:
        pause, is_faulty = _SHORTEST_PAUSE_SECONDS, False
        while not self._stopping.wait(pause):
            try:
                found = turn()
            except _ERRORS as exc:
                # Probably a process restarts.
                if not is_faulty and not self._stopping.is_set():
                    self._report(f"an event source failed, and is tried again: {exc}")
                pause, is_faulty = _PAUSE_AFTER_ERROR_SECONDS, True
                continue
            is_faulty = False
            pause = _SHORTEST_PAUSE_SECONDS if found else min(pause * 2, _LONGEST_PAUSE_SECONDS)
