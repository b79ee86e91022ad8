"""Count the active runs of a project or an organization in an index, on request.

A stored counter would be an item that every start and every end of a run writes. The count is
approximate: the index is eventually consistent, and a process uses a count for a second, to which
it adds the runs that it admits itself. A burst over many processes can exceed the limit by the
runs that they start within that second.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock

from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.dynamodb.table import Table

COUNT_CACHE_SECONDS = 1.0
# A run that waits for a person is not active. It may wait for months, and it costs nothing.
_ACTIVE = ("created", "started")


@dataclass
class _Count:
    runs: int
    until: float


class ActiveRuns:
    """The cached counts of active runs, by project or organization."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._counts: dict[str, _Count] = {}
        self._lock = Lock()

    def project_has_capacity(self, project_id: str, maximum: int) -> bool:
        """Return whether another run of the project may start, and count it; 0 is no limit."""
        return self._has_capacity(f"project {project_id}", lambda: [project_id], maximum)

    def organization_has_capacity(
        self, org_id: str, projects: Callable[[], Sequence[str]], maximum: int
    ) -> bool:
        """Return the same for all projects of an organization; each project is counted."""
        return self._has_capacity(f"organization {org_id}", projects, maximum)

    def _has_capacity(
        self, owner: str, projects: Callable[[], Sequence[str]], maximum: int
    ) -> bool:
        """Return whether another run may start; if so, add it to the count."""
        if maximum <= 0:
            return True
        now = time.monotonic()
        with self._lock:
            count = self._counts.get(owner)
        if count is None or count.until <= now:
            # Outside the lock: two threads may count twice, but must not wait for other reads.
            runs = sum(map(self._count, projects()))
            count = _Count(runs, now + COUNT_CACHE_SECONDS)
            with self._lock:
                self._counts[owner] = count
        with self._lock:
            if count.runs >= maximum:
                return False
            count.runs += 1
        return True

    def _count(self, project_id: str) -> int:
        """Count with two queries of the index. Each takes half a read unit for about 60 runs."""
        return sum(
            self._table.count(
                "#status_key = :status_key",
                {":status_key": keys.scoped(project_id, status)},
                keys.RUNS_BY_STATUS_INDEX,
            )
            for status in _ACTIVE
        )
