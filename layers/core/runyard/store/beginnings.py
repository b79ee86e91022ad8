"""Which runs a worker has begun with: their first event says so, and their record does not.

`run.started` is the first event of a run that nothing went wrong with, and an append like any
other: the record stays as it was created, and costs nothing.

    record    created ─────────────────────▶ paused, or ended
    log       (empty) ──▶ run.started ──▶ …

So of a record that says `created`, the log tells whether the run is. Where something else stands
first (the sweep took the run up before any worker), record and log change in one transaction.
"""

from collections.abc import Iterable
from typing import Final

from runyard.domain.events import line_type
from runyard.store.dynamo import Key
from runyard.store.event_log import lines_of
from runyard.store.table import Table

STARTED_TYPE: Final = "run.started"


class Beginnings:
    """The first events of runs, in the events table."""

    def __init__(self, events: Table) -> None:
        self._events = events

    def begun(self, run_ids: Iterable[str]) -> set[str]:
        """Those of the runs whose first event is `run.started`: a read unit each, consistent."""
        places: list[Key] = [{"run_id": run_id, "sequence": 1} for run_id in run_ids]
        return {
            str(item["run_id"])
            for item in self._events.batch_get(places)
            if line_type(lines_of(item)[0]) == STARTED_TYPE
        }
