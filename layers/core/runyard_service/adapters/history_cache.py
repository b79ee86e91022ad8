"""Read histories of runs: from this process's cache, else a checkpoint, else the whole log.

In every case, a strongly consistent read of the log adds the later events. So the history includes
events that another worker wrote in the meantime.
"""

from collections import OrderedDict
from threading import Lock

from runyard_service.adapters.dynamodb.event_log import EventLog
from runyard_service.adapters.dynamodb.runs import Runs
from runyard_service.adapters.s3.checkpoints import Checkpoints
from runyard_service.domain.history.history import History
from runyard_service.domain.runs import Run

# A checkpoint limits what a new process reads: the events without deltas, and at most this many
# events of the log, or half the number of events in the checkpoint. With the second limit, writing
# whole checkpoints costs the same per step for a log of any length.
CHECKPOINT_EVERY_EVENTS = 500
# Limits of the cache of a process, in runs and in characters of their events. The events take
# several times as many bytes of memory.
MAX_RUNS = 100
MAX_CHARACTERS = 32 * 1024 * 1024


class Histories:
    """The histories of the runs in the events table."""

    def __init__(self, log: EventLog, checkpoints: Checkpoints, runs: Runs) -> None:
        self._log = log
        self._checkpoints = checkpoints
        self._runs = runs
        self._cache: OrderedDict[str, History] = OrderedDict()
        self._lock = Lock()

    def read(self, run: Run) -> History:
        """Return the run's history up to its newest event. No other caller uses the object."""
        with self._lock:
            # Removed from the cache: two workers of a run in a process must not share an object.
            history = self._cache.pop(run.id, None)
        if history is None and run.checkpoint:
            history = self._from_checkpoint(run)
        history = history or History()
        self.catch_up(run.id, history)
        return history

    def catch_up(self, run_id: str, history: History) -> None:
        """Apply the events that were appended after the history's last event."""
        for event in self._log.events(run_id, after=history.last):
            history.apply(event)

    def cache(self, run_id: str, history: History) -> None:
        """Cache the history for this process's next execution of the run, unless it has ended."""
        if history.has_ended or history.size_chars > MAX_CHARACTERS:
            return
        with self._lock:
            self._cache[run_id] = history
            self._cache.move_to_end(run_id)
            characters = sum(cached.size_chars for cached in self._cache.values())
            while len(self._cache) > MAX_RUNS or characters > MAX_CHARACTERS:
                _, removed = self._cache.popitem(last=False)
                characters -= removed.size_chars

    def checkpoint(self, run: Run, history: History) -> Run:
        """Save a checkpoint if the log has grown enough since the last; return the updated run."""
        since = history.last - run.checkpoint
        is_due = since >= max(CHECKPOINT_EVERY_EVENTS, len(history.durable_events) // 2)
        if not is_due or not history.can_be_restored or history.size_chars > MAX_CHARACTERS:
            return run
        if self._checkpoints.save(run.id, list(history.durable_events)):
            # Readers look for a checkpoint only if the record names it, so never for short runs.
            self._runs.record_checkpoint(run.id, history.last)
        # Also after a failed save: the next attempt is due after as many further events.
        return run.model_copy(update={"checkpoint": history.last})

    def _from_checkpoint(self, run: Run) -> History | None:
        """Return the checkpoint's history, or None if the log does not contain its last event."""
        events = self._checkpoints.fetch(run.id)
        if not events:
            return None
        last = events[-1]
        in_log = next(iter(self._log.read(run.id, last.sequence - 1, until=last.sequence)), None)
        if in_log is None or next(in_log.events()).id != last.id:
            return None
        try:
            return History.from_checkpoint(events)
        except (KeyError, ValueError):
            return None
