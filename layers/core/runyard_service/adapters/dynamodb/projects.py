"""Settings of each project: its daily cap and the retention of its runs.

Both are attributes of the project's item in the records table. A project without a value of its own
uses the installation's.
"""

import time
from collections.abc import Sequence
from decimal import Decimal

from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.dynamodb.table import Table

# A changed cap applies in every process after this time at the latest.
CACHE_SECONDS = 60.0


class ProjectCaps:
    """The daily caps of projects, cached for CACHE_SECONDS."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._cache: dict[str, tuple[float, Decimal | None]] = {}

    def of(self, project_id: str, default: Decimal) -> Decimal:
        """Return how many USD the project may spend per day (UTC); 0 means no cap."""
        cached = self._cache.get(project_id)
        if cached is None or cached[0] <= time.monotonic():
            item = self._table.get(keys.project(project_id)) or {}
            cached = (time.monotonic() + CACHE_SECONDS, item.get("daily_usd"))
            self._cache[project_id] = cached
        return default if cached[1] is None else cached[1]

    def set(self, project_id: str, usd: Decimal) -> None:
        """Set the cap of a claimed project; 0 removes it."""
        self._table.update(keys.project(project_id), {"daily_usd": usd})
        self._cache.pop(project_id, None)


class RetentionDays:
    """How many days each project retains its runs; 0 means without end."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def of(self, projects: Sequence[str], default: int) -> dict[str, int]:
        """Return the days of each of these projects."""
        project_ids = {str(keys.project(project)["pk"]): project for project in projects}
        items = self._table.batch_get(
            [keys.project(project) for project in projects], ("pk", "retention_days")
        )
        own = {
            project_ids[item["pk"]]: int(item["retention_days"])
            for item in items
            if "retention_days" in item
        }
        return {project: own.get(project, default) for project in projects}

    def set(self, project_id: str, days: int | None) -> None:
        """Set the days of a claimed project; None restores the installation's default."""
        self._table.update(keys.project(project_id), {"retention_days": days})
