"""Read the counters of a project's days."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from itertools import chain

from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.dynamodb.table import Table
from runyard_service.adapters.dynamodb.usage.counters import Dimensions, totals_of
from runyard_service.domain.usage_totals import UsageTotals

# A day takes a query for each shard, half a read unit for 4 KB of counters.
_READERS = 16

Counter = tuple[Dimensions, UsageTotals]


class UsageDays:
    """The counters of the records table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def of_project(self, project_id: str, first: date, last: date) -> Iterator[Counter]:
        """Return the counters of the days (UTC) from `first` to `last`, a day after the other.

        Counters of different shards can have the same dimensions.
        """
        days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        partitions = [
            (project_id, day.isoformat(), shard)
            for day in days
            for shard in range(keys.USAGE_SHARDS)
        ]
        with ThreadPoolExecutor(min(_READERS, len(partitions))) as pool:
            return chain.from_iterable(list(pool.map(self._read, partitions)))

    def _read(self, partition: tuple[str, str, int]) -> Sequence[Counter]:
        project_id, day, shard = partition
        values = {":pk": keys.usage(project_id, day, shard, "")["pk"]}
        return [
            (
                Dimensions(
                    project_id,
                    day,
                    agent=item["agent"],
                    model=item.get("model", ""),
                    user_id=item.get("user_id", ""),
                ),
                totals_of(item),
            )
            for item in self._table.query("#pk = :pk", values, consistent=False)
        ]
