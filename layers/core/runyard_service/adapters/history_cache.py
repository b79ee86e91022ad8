"""Histories of runs, read as cheaply as can be: what this process has folded before, or else from a
checkpoint on, or else from the beginning.

Whatever it starts from, a history is continued by reading the log behind it, strongly consistent:
what another worker wrote meanwhile is in it.
"""

from collections import OrderedDict
from threading import Lock

from runyard_service.adapters.dynamodb.event_log import EventLog
from runyard_service.adapters.dynamodb.runs import Runs
from runyard_service.adapters.s3.checkpoints import Checkpoints
from runyard_service.domain.history import History
from runyard_service.domain.runs import Run

# A checkpoint bounds what a new process reads: the events without deltas, and so many of the log,
# or half as many as it holds: then writing it whole again costs each step the same, however long.
CHECKPOINT_EVERY_EVENTS = 500
# What one process remembers, in runs and in characters of their events, which take several times as
# much in memory.
MAX_RUNS = 100
MAX_CHARACTERS = 32 * 1024 * 1024


class Histories:
    """The histories of the runs in the events table."""

    def __init__(self, log: EventLog, checkpoints: Checkpoints, runs: Runs) -> None:
        self._log = log
        self._checkpoints = checkpoints
        self._runs = runs
        self._kept: OrderedDict[str, History] = OrderedDict()
        self._lock = Lock()

    def read(self, run: Run) -> History:
        """The run's history up to its newest event; it belongs to the caller alone."""
        with self._lock:
            # Taken out: two workers at one run in one process each have their own.
            history = self._kept.pop(run.id, None)
        if history is None and run.checkpoint:
            history = self._from_checkpoint(run)
        history = history or History()
        self.catch_up(run.id, history)
        return history

    def catch_up(self, run_id: str, history: History) -> None:
        """Take in what was appended since."""
        for event in self._log.events(run_id, after=history.last):
            history.apply(event)

    def cache(self, run_id: str, history: History) -> None:
        """Remember the history for this process's next turn with the run, if there is to be one."""
        if history.has_ended or history.size_chars > MAX_CHARACTERS:
            return
        with self._lock:
            self._kept[run_id] = history
            self._kept.move_to_end(run_id)
            characters = sum(each.size_chars for each in self._kept.values())
            while len(self._kept) > MAX_RUNS or characters > MAX_CHARACTERS:
                _, forgotten = self._kept.popitem(last=False)
                characters -= forgotten.size_chars

    def checkpoint(self, run: Run, history: History) -> Run:
        """Offer a checkpoint, if the log has grown enough since the last; gives the run with it."""
        since = history.last - run.checkpoint
        is_due = since >= max(CHECKPOINT_EVERY_EVENTS, len(history.durable_events) // 2)
        if not is_due or not history.can_be_restored or history.size_chars > MAX_CHARACTERS:
            return run
        if self._checkpoints.save(run.id, list(history.durable_events)):
            # A hint, so that nobody looks for checkpoints of short runs.
            self._runs.record_checkpoint(run.id, history.last)
        # Also where it was not kept: the next attempt is due as much later.
        return run.model_copy(update={"checkpoint": history.last})

    def _from_checkpoint(self, run: Run) -> History | None:
        """What the checkpoint says, if the log agrees that the event it ends with is there."""
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
