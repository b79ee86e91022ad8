"""Read and count a partition of an index, by keys alone, and write its position markers.

The last marker (`position_markers.py`) contains the number of entries up to it, so a reader counts
only later entries. Every page is within 250 keys of a marker, for a list of any length. A reader
also writes missing markers.
"""

from collections.abc import Iterable, Iterator
from heapq import merge
from itertools import islice

from runyard_service.adapters.dynamodb.keys import run_id_of
from runyard_service.adapters.dynamodb.run_index import position_markers
from runyard_service.adapters.dynamodb.run_index.position_markers import PositionMarkers
from runyard_service.adapters.dynamodb.run_index.run_list_plan import IndexPartition
from runyard_service.adapters.dynamodb.table import Table
from runyard_service.domain.clock import timestamp_in


class IndexReader:
    """The reader of a single request. It counts each list only once."""

    def __init__(self, table: Table, markers: PositionMarkers) -> None:
        self._table = table
        self._markers = markers
        self._counts: dict[IndexPartition, tuple[int, int]] = {}

    def keys(
        self,
        partition: IndexPartition,
        after: str = "",
        *,
        descending: bool = False,
        skip: int = 0,
        limit: int | None = None,
    ) -> Iterator[str]:
        """Yield the entries after the entry `after`, without the first `skip` of them."""
        condition = f"#{partition.partition_key} = :partition AND #{partition.sort_key} > :after"
        values = {":partition": partition.partition, ":after": f"{after}!"}
        return self._table.sort_keys(
            condition, values, partition.index, descending=descending, skip=skip, limit=limit
        )

    def length(self, lists: Iterable[IndexPartition]) -> int:
        return sum(self.count(partition.same_length or partition)[0] for partition in lists)

    def count(self, partition: IndexPartition) -> tuple[int, int]:
        """Return the length of the list, and the position of its last marker; 0 without markers."""
        if partition not in self._counts:
            self._counts[partition] = (
                self._count_with_markers(partition)
                if partition.only_grows
                else (self._count_after(partition), 0)
            )
        return self._counts[partition]

    def _count_after(self, partition: IndexPartition, entry: str = "") -> int:
        condition = f"#{partition.partition_key} = :partition AND #{partition.sort_key} > :after"
        values = {":partition": partition.partition, ":after": f"{entry}!"}
        return self._table.count(condition, values, partition.index)

    def _count_with_markers(self, partition: IndexPartition) -> tuple[int, int]:
        """Count the entries after the last marker; write further markers if there are many."""
        last, interval = self._markers.last(partition), position_markers.MARKER_INTERVAL
        later = self._count_after(partition, last.entry)
        total = last.position + later
        if later < 2 * interval or not last.may_be_followed:
            return total, last.position
        stable_before = timestamp_in(-position_markers.STABLE_AFTER_SECONDS)
        limit = position_markers.MARKERS_AT_ONCE * interval
        entries: dict[int, str] = {}
        later_entries = self.keys(partition, after=last.entry, limit=limit)
        for position, entry in enumerate(later_entries, start=last.position + 1):
            if entry > stable_before:
                break
            if position % interval == 0:
                entries[position] = entry
        if entries and self._markers.follow(partition, last, entries):
            return total, max(entries)
        return total, last.position

    def marker_before(self, partition: IndexPartition, position: int) -> tuple[int, str]:
        """Return the last marker up to `position`, and its entry; 0 and "" without a marker."""
        interval = position_markers.MARKER_INTERVAL
        marker = min(position // interval * interval, self.count(partition)[1])
        entry = self._markers.entry_at(partition, marker) if marker else None
        return (0, "") if entry is None else (marker, entry)


def newest_first(
    table: Table, lists: Iterable[IndexPartition], before: str | None, limit: int
) -> list[str]:
    """Return the ids of the newest `limit` entries of all lists together, newest first.

    `before` is an entry, `<time>#<id>`: only older entries count. A client that pages with it from
    the newest to the oldest sees each entry once, also while new entries arrive. This costs half a
    read unit for about 60 keys of each list.
    """
    streams = [_older(table, index_list, before, limit) for index_list in lists]
    entries = islice(merge(*streams, reverse=True), limit)
    return [run_id_of(entry) for entry in entries]


def _older(
    table: Table, index_list: IndexPartition, before: str | None, limit: int
) -> Iterator[str]:
    # Every entry starts with a year below 9000, so it sorts before "9".
    values = {":partition": index_list.partition, ":before": before or "9"}
    condition = f"#{index_list.partition_key} = :partition AND #{index_list.sort_key} < :before"
    return table.sort_keys(condition, values, index_list.index, descending=True, limit=limit)
