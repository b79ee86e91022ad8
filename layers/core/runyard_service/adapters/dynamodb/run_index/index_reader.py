"""Read and count a partition of an index, by keys alone, and write its position markers.

The last marker (`position_markers.py`) contains the number of entries up to it, so a reader counts
only later entries. Every page is within 250 keys of a marker, for a list of any length. A reader
also writes missing markers.

A list that is limited to a range of time consists of consecutive positions of the whole list. A
binary search in the markers finds the first and the last of them.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import replace
from heapq import merge
from itertools import islice

from runyard_service.adapters.dynamodb.keys import run_id_of
from runyard_service.adapters.dynamodb.run_index import position_markers
from runyard_service.adapters.dynamodb.run_index.position_markers import PositionMarkers
from runyard_service.adapters.dynamodb.run_index.run_list_plan import (
    FIRST,
    LAST,
    IndexPartition,
)
from runyard_service.adapters.dynamodb.table import Table
from runyard_service.domain.clock import timestamp_in


class IndexReader:
    """The reader of a single request. It counts each list only once."""

    def __init__(self, table: Table, markers: PositionMarkers) -> None:
        self._table = table
        self._markers = markers
        self._counts: dict[IndexPartition, tuple[int, int]] = {}
        # The entries of the whole list before a list that is limited to a range.
        self._before: dict[IndexPartition, int] = {}

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
        condition, values = _range_condition(partition, after)
        if values[":low"] > values[":high"]:
            return iter(())
        return self._table.sort_keys(
            condition, values, partition.index, descending=descending, skip=skip, limit=limit
        )

    def length(self, lists: Iterable[IndexPartition]) -> int:
        return sum(self.count(partition.same_length or partition)[0] for partition in lists)

    def count(self, partition: IndexPartition) -> tuple[int, int]:
        """Return the length of the list, and the position of its last marker; 0 without markers."""
        if partition not in self._counts:
            if not partition.only_grows:
                self._counts[partition] = self._count_after(partition), 0
            elif partition == partition.whole:
                self._counts[partition] = self._count_with_markers(partition)
            else:
                self._counts[partition] = self._count_range(partition)
        return self._counts[partition]

    def _count_after(self, partition: IndexPartition, entry: str = "") -> int:
        condition, values = _range_condition(partition, entry)
        if values[":low"] > values[":high"]:
            return 0
        return self._table.count(condition, values, partition.index)

    def _count_range(self, partition: IndexPartition) -> tuple[int, int]:
        """Count a range of a list that only grows, by the positions of its ends."""
        total, last_marker = self.count(partition.whole)
        if not last_marker:
            return self._count_after(partition), 0
        before, until = 0, total
        if partition.low != FIRST:
            before = self._entries_before(partition.whole, partition.low)
        if partition.high != LAST:
            until = self._entries_before(partition.whole, partition.high)
        self._before[partition] = before
        return max(0, until - before), max(0, last_marker - before)

    def _entries_before(self, whole: IndexPartition, moment: str) -> int:
        """Return the number of entries before `moment`, counted from the marker before it.

        The search reads a marker for each doubling of their number.
        """
        interval, entries = position_markers.MARKER_INTERVAL, {0: FIRST}

        def entry_at(number: int) -> str:
            # A marker that has just been deleted counts as later.
            entries[number] = self._markers.entry_at(whole, number * interval) or LAST
            return entries[number]

        markers = range(1, self.count(whole)[1] // interval + 1)
        found = bisect_left(markers, moment, key=entry_at)
        rest = replace(whole, high=moment)
        return found * interval + self._count_after(rest, entries[found] if found else "")

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
        last_marker = self.count(partition)[1]
        interval, before = position_markers.MARKER_INTERVAL, self._before.get(partition, 0)
        marker = min((before + position) // interval * interval, before + last_marker)
        if marker <= before:
            return 0, ""
        entry = self._markers.entry_at(partition, marker)
        return (0, "") if entry is None else (marker - before, entry)


def _range_condition(partition: IndexPartition, after: str) -> tuple[str, dict[str, str]]:
    """Return the key condition of the entries after the entry `after`, and its values."""
    condition = (
        f"#{partition.partition_key} = :partition AND #{partition.sort_key} BETWEEN :low AND :high"
    )
    low = f"{after}!" if after else partition.low
    return condition, {":partition": partition.partition, ":low": low, ":high": partition.high}


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
    values = {":partition": index_list.partition, ":before": before or LAST}
    condition = f"#{index_list.partition_key} = :partition AND #{index_list.sort_key} < :before"
    return table.sort_keys(condition, values, index_list.index, descending=True, limit=limit)
