"""Settings of each project: its daily cap, its active runs and the retention of its runs.

All are attributes of the project's item in the records table. A project without a value of its own
uses the installation's.
"""

import time
from collections.abc import Sequence
from decimal import Decimal

from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.dynamodb.attributes import Item
from runyard_service.adapters.dynamodb.table import Table

# A changed limit applies in every process after this time at the latest.
CACHE_SECONDS = 60.0


class ProjectLimits:
    """The limits of projects, cached for CACHE_SECONDS."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._cache: dict[str, tuple[float, Item]] = {}

    def daily_usd(self, project_id: str, default: Decimal) -> Decimal:
        """Return how many USD the project may spend per day (UTC); 0 means no cap."""
        return Decimal(self._item(project_id).get("daily_usd", default))

    def max_active_runs(self, project_id: str, default: int) -> int:
        """Return how many runs of the project may be active at a time; 0 means no limit."""
        return int(self._item(project_id).get("max_active_runs", default))

    def _item(self, project_id: str) -> Item:
        cached = self._cache.get(project_id)
        if cached is None or cached[0] <= time.monotonic():
            item = self._table.get(keys.project(project_id)) or {}
            cached = self._cache[project_id] = (time.monotonic() + CACHE_SECONDS, item)
        return cached[1]

    def set_daily_usd(self, project_id: str, usd: Decimal) -> None:
        """Set the daily cap of a claimed project; 0 removes it."""
        self._set(project_id, "daily_usd", usd)

    def set_max_active_runs(self, project_id: str, maximum: int | None) -> None:
        """Set the active runs of a claimed project; None restores the installation's default."""
        self._set(project_id, "max_active_runs", maximum)

    def _set(self, project_id: str, name: str, value: Decimal | int | None) -> None:
        self._table.update(keys.project(project_id), {name: value})
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
