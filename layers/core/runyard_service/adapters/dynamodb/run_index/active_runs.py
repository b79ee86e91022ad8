"""How many runs of a project or an organization are at work: counted in an index when asked.

A counter would be the one item that every start and every end of a run writes. The count is
near the truth: the index is eventually consistent, and what was counted holds for a second, to
which this process adds what it admits itself. A burst over many processes can pass the limit by
what they start within that second.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock

from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.dynamodb.table import Table

COUNTED_EVERY_SECONDS = 1.0
# A run that waits for a person is not active. It may wait for months, and it costs nothing.
_ACTIVE = ("created", "started")


@dataclass
class _Count:
    runs: int
    until: float


class LiveRuns:
    """The runs at work, by whom they are counted for."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._counts: dict[str, _Count] = {}
        self._lock = Lock()

    def project_has_capacity(self, project_id: str, at_most: int) -> bool:
        """Whether one more run of the project may start; `at_most` 0 admits every run."""
        return self._admits(f"project {project_id}", lambda: [project_id], at_most)

    def organization_admits(
        self, org_id: str, projects: Callable[[], Sequence[str]], at_most: int
    ) -> bool:
        """The same for all projects of an organization, each of which is counted by itself."""
        return self._admits(f"organization {org_id}", projects, at_most)

    def _admits(self, whose: str, projects: Callable[[], Sequence[str]], at_most: int) -> bool:
        """Whether one more run may start, which is then counted."""
        if at_most <= 0:
            return True
        now = time.monotonic()
        with self._lock:
            count = self._counts.get(whose)
        if count is None or count.until <= now:
            # Outside the lock: counting twice is harmless, waiting for others' reads is not.
            runs = sum(map(self._count, projects()))
            count = _Count(runs, now + COUNTED_EVERY_SECONDS)
            with self._lock:
                self._counts[whose] = count
        with self._lock:
            if count.runs >= at_most:
                return False
            count.runs += 1
        return True

    def _count(self, project_id: str) -> int:
        """Two queries of the index, half a read unit each for about 60 runs."""
        return sum(
            self._table.count(
                "#status_key = :status_key",
                {":status_key": keys.scoped(project_id, status)},
                keys.RUNS_BY_STATUS_INDEX,
            )
            for status in _ACTIVE
        )
