"""The fields by which runs are filtered and sorted, from the records of the runs."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.dynamodb.run_index.run_list_plan import RunFilter
from runyard_service.adapters.dynamodb.runs import api_status
from runyard_service.adapters.dynamodb.table import Table
from runyard_service.domain.runs import agent_name

Facts = Mapping[str, Any]
_FACTS = (
    *("id", "status", "open_requests", "started_at", "ended_at", "user_id", "session_id", "agent"),
    "deleted_at",
)


class RunFacts:
    """The reader and the sort order of a single request. `fields` are those to sort by."""

    def __init__(self, table: Table, fields: tuple[str, ...]) -> None:
        self._table = table
        self.fields = fields

    def read(self, run_ids: Iterable[str]) -> list[Facts]:
        """Return the fields of the runs that exist. Takes a read unit for a run."""
        items = self._table.batch_get([keys.run(run_id) for run_id in run_ids], _FACTS)
        return [
            {**item, "status": api_status(item["status"], int(item["open_requests"]))}
            for item in items
            if "deleted_at" not in item  # The index may still list a deleted run.
        ]

    def sort(self, runs: list[Facts]) -> list[Facts]:
        """Return the runs in the requested order."""
        newest_first = "-started_at" in self.fields
        ordered = sorted(runs, key=lambda facts: str(facts["id"]), reverse=newest_first)
        for field in reversed(self.fields):
            value = _VALUES[field.removeprefix("-")]
            ordered.sort(key=value, reverse=field.startswith("-"))
        return ordered


def time_of(entry: str) -> str:
    """Return the time of an entry, `<time>#<run id>`."""
    return entry.partition("#")[0]


# The values to sort by. A run that has not ended sorts after all ended runs.
_VALUES: Mapping[str, Callable[[Facts], str]] = {
    "started_at": lambda facts: str(facts["started_at"]),
    "ended_at": lambda facts: str(facts.get("ended_at", "~")),
    "status": lambda facts: str(facts["status"]),
}


def matches(facts: Facts, run_filter: RunFilter) -> bool:
    """Return whether the run fits all conditions of the filter except the project."""
    return (
        facts["status"] in run_filter.listed_statuses
        and run_filter.user_id in (None, facts.get("user_id"))
        and run_filter.session_id in (None, facts.get("session_id"))
        and run_filter.agent in (None, agent_name(facts["agent"]))
        and run_filter.started_after <= facts["started_at"] < run_filter.started_before
        and (run_filter.ended_after or "") <= facts.get("ended_at", "")
    )
