"""What each project may spend in a day, kept with its owner and cached for a minute."""

import time
from decimal import Decimal

from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.dynamodb.table import Table

# A changed cap holds everywhere after this long.
CACHE_SECONDS = 60.0


class ProjectCaps:
    """The caps on the project items of the records table."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._cache: dict[str, tuple[float, Decimal | None]] = {}

    def of(self, project_id: str, default: Decimal) -> Decimal:
        """USD that the project may spend in a day (UTC); 0: as much as it wants."""
        cached = self._cache.get(project_id)
        if cached is None or cached[0] <= time.monotonic():
            item = self._table.get(keys.project(project_id)) or {}
            cached = (time.monotonic() + CACHE_SECONDS, item.get("daily_usd"))
            self._cache[project_id] = cached
        return default if cached[1] is None else cached[1]

    def set(self, project_id: str, usd: Decimal) -> None:
        """Cap a project that somebody has claimed; 0 lets it spend what it wants."""
        self._table.update(keys.project(project_id), {"daily_usd": usd})
        self._cache.pop(project_id, None)
