"""How long the runs of each project are kept: a project's own number of days, where it has one."""

from collections.abc import Sequence

from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.dynamodb.table import Table


class RetentionDays:
    """The days on the project items of the records table. 0 days: for ever."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def of(self, projects: Sequence[str], default: int) -> dict[str, int]:
        """The days of each of these projects."""
        places = {str(keys.project(project)["pk"]): project for project in projects}
        found = self._table.batch_get(
            [keys.project(project) for project in projects], ("pk", "retention_days")
        )
        own = {
            places[item["pk"]]: int(item["retention_days"])
            for item in found
            if "retention_days" in item
        }
        return {project: own.get(project, default) for project in projects}

    def set(self, project_id: str, days: int | None) -> None:
        """Give a project that somebody has claimed days of its own; None: the installation's."""
        self._table.update(keys.project(project_id), {"retention_days": days})
