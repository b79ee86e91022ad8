"""Which runs a worker has begun with, or gone on with: their log says so, their record does not.

`run.started` is the first event of a run that nothing went wrong with, and `run.resumed` stands
right behind the last answer. Both are appends like any other: the record stays as it is, and costs
nothing.

    record    created ─────────────────▶ paused, 1 open ─▶ paused, 0 open ──────────────▶ ended
    log       (empty) ─▶ run.started ─▶ … run.paused ────▶ the answer ─▶ run.resumed ─▶ …

So of a record that says `created`, or `paused` with nothing left to answer, one place in the log
tells whether the run is at work: the first, or the one that the record names. Where something else
stands there (the sweep took the run up before any worker), record and log change in one
transaction.
"""

from collections.abc import Mapping
from typing import Final

from runyard_service.adapters.dynamodb.attributes import Item, Key
from runyard_service.adapters.dynamodb.event_log import lines_of
from runyard_service.adapters.dynamodb.table import Table
from runyard_service.domain.events import line_type

STARTED_TYPE: Final = "run.started"
RESUMED_TYPE: Final = "run.resumed"


def begins_at(status: str, open_requests: int, resumes_at: int) -> int:
    """The place in the log that tells whether such a record's run is at work; 0: the record does.

    `resumes_at` is the record's own.
    """
    if status == "created":
        return 1
    return resumes_at if status == "paused" and not open_requests else 0


def begins_at_by(item: Item) -> int:
    """The same of a record as it is kept, or of these three of its fields."""
    status, open_requests = str(item.get("status", "")), int(item.get("open_requests", 0))
    return begins_at(status, open_requests, int(item.get("resumes_at", 0)))


class Beginnings:
    """The events of the events table that say that a worker has begun."""

    def __init__(self, events: Table) -> None:
        self._events = events

    def begun(self, places: Mapping[str, int]) -> set[str]:
        """Those of the runs that their log says are at work, at the place of each; 0 is none.

        A read unit for each place, strongly consistent.
        """
        asked: list[Key] = [
            {"run_id": run_id, "sequence": place} for run_id, place in places.items() if place
        ]
        return {
            str(item["run_id"])
            for item in self._events.batch_get(asked)
            if line_type(lines_of(item)[0]) in (STARTED_TYPE, RESUMED_TYPE)
        }
