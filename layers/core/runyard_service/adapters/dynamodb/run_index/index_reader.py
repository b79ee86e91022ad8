"""One partition of one index, read by keys alone: its entries, their number, and its marks.

Behind the last mark (`position_markers.py`) the entries are counted, before it they are known;
and every page is within 250 keys of a mark, however long the list is. Whoever lists sets the marks.
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
    """One request's reading of index lists: what was counted once is not counted again."""

    def __init__(self, table: Table, marks: PositionMarkers) -> None:
        self._table = table
        self._marks = marks
        self._counts: dict[IndexPartition, tuple[int, int]] = {}

    def keys(
        self,
        one: IndexPartition,
        after: str = "",
        *,
        descending: bool = False,
        skip: int = 0,
        limit: int | None = None,
    ) -> Iterator[str]:
        """Entries behind the entry `after`, without the first `skip` of them."""
        condition = f"#{one.partition_key} = :partition AND #{one.sort_key} > :after"
        values = {":partition": one.partition, ":after": f"{after}!"}
        return self._table.sort_keys(
            condition, values, one.index, descending=descending, skip=skip, limit=limit
        )

    def length(self, lists: Iterable[IndexPartition]) -> int:
        return sum(self.counted(one.same_length or one)[0] for one in lists)

    def counted(self, one: IndexPartition) -> tuple[int, int]:
        """The length of the list, and the place of its last mark (0: it has none)."""
        if one not in self._counts:
            self._counts[one] = self._count_marked(one) if one.only_grows else self._count(one)
        return self._counts[one]

    def _count(self, one: IndexPartition, after: str = "") -> tuple[int, int]:
        condition = f"#{one.partition_key} = :partition AND #{one.sort_key} > :after"
        values = {":partition": one.partition, ":after": f"{after}!"}
        return self._table.count(condition, values, one.index), 0

    def _count_marked(self, one: IndexPartition) -> tuple[int, int]:
        """Count from the last mark on; where that is far, set further marks on the way."""
        last, every = self._marks.last(one), position_markers.MARKER_INTERVAL
        behind, _ = self._count(one, last.entry)
        total = last.position + behind
        if behind < 2 * every or not last.may_be_followed:
            return total, last.position
        settled = timestamp_in(-position_markers.STABLE_AFTER_SECONDS)
        new = self.keys(one, after=last.entry, limit=position_markers.MARKERS_AT_ONCE * every)
        entries: dict[int, str] = {}
        for number, passed in enumerate(new, start=last.position + 1):
            if passed > settled:
                break
            if number % every == 0:
                entries[number] = passed
        if entries and self._marks.follow(one, last, entries):
            return total, max(entries)
        return total, last.position

    def marker_before(self, one: IndexPartition, place: int) -> tuple[int, str]:
        """The last marked place up to `place`, and its entry (0 and "": the beginning)."""
        every = position_markers.MARKER_INTERVAL
        marked = min(place // every * every, self.counted(one)[1])
        entry = self._marks.entry_at(one, marked) if marked else None
        return (0, "") if entry is None else (marked, entry)


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
    # Every entry begins with a year below 9000, so all of them are below "9".
    values = {":partition": index_list.partition, ":before": before or "9"}
    condition = f"#{index_list.partition_key} = :partition AND #{index_list.sort_key} < :before"
    return table.sort_keys(condition, values, index_list.index, descending=True, limit=limit)
