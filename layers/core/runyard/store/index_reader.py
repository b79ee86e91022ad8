"""One partition of one index, read by keys alone: its entries, their number, and its marks.

A list to which entries are only ever added at its end gets a **mark** at every 250th place, kept in
the table by whoever lists it. Behind the last mark the entries are counted, before it they are
known; and every page is within 250 keys of a mark, however long the list is.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from runyard.domain.clock import stamp_in
from runyard.store import keys
from runyard.store.dynamo import Key
from runyard.store.run_list_plan import IndexList
from runyard.store.table import Table

_MARK_EVERY = 250
# A long list that was never read before gets its marks by several readers, so that none waits long.
_MARKS_AT_ONCE = 100
# A mark is for ever, so it is set only where nothing can still come in before it: a run's stamp is
# milliseconds older than its record, and an index is seconds behind its table.
_SETTLED_AFTER_SECONDS = 900


class IndexReader:
    """One request's reading of index lists: what was counted once is not counted again."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._counts: dict[IndexList, tuple[int, int]] = {}

    def keys(self, one: IndexList, after: str = "", **options: Any) -> Iterator[str]:
        """Entries behind the entry `after`."""
        condition = f"#{one.partition_key} = :partition AND #{one.sort_key} > :after"
        values = {":partition": one.partition, ":after": f"{after}!"}
        return self._table.sort_keys(condition, values, one.index, **options)

    def length(self, lists: Iterable[IndexList]) -> int:
        return sum(self.counted(one.same_length or one)[0] for one in lists)

    def counted(self, one: IndexList) -> tuple[int, int]:
        """The length of the list, and the place of its last mark (0: it has none)."""
        if one not in self._counts:
            self._counts[one] = self._count_marked(one) if one.only_grows else self._count(one)
        return self._counts[one]

    def _count(self, one: IndexList, after: str = "") -> tuple[int, int]:
        condition = f"#{one.partition_key} = :partition AND #{one.sort_key} > :after"
        values = {":partition": one.partition, ":after": f"{after}!"}
        return self._table.count(condition, values, one.index), 0

    def _count_marked(self, one: IndexList) -> tuple[int, int]:
        """Count from the last mark on; where that is far, set further marks on the way."""
        marks = self._table.query(
            "#pk = :pk",
            {":pk": _mark_key(one, 0)["pk"]},
            consistent=False,
            descending=True,
            limit=1,
        )
        last = next(marks, None)
        place, entry = (int(last["sk"]), str(last["entry"])) if last else (0, "")
        behind, _ = self._count(one, entry)
        total, settled = place + behind, stamp_in(-_SETTLED_AFTER_SECONDS)
        if behind < 2 * _MARK_EVERY:
            return total, place
        # One after the other, so that no place before the last mark is ever without its own.
        new = self.keys(one, after=entry, limit=_MARKS_AT_ONCE * _MARK_EVERY)
        for number, passed in enumerate(new, start=place + 1):
            if passed > settled:
                break
            if number % _MARK_EVERY == 0:
                self._table.put({**_mark_key(one, number), "entry": passed})
                place = number
        return total, place

    def marked_before(self, one: IndexList, place: int) -> int:
        """The last place up to `place` that has a mark (0: the beginning)."""
        return min(place // _MARK_EVERY * _MARK_EVERY, self.counted(one)[1])

    def mark(self, one: IndexList, place: int) -> str:
        """The entry at a marked place."""
        if place == 0:
            return ""
        item = self._table.get(_mark_key(one, place))
        assert item is not None, "every place before the last mark has its own"
        return str(item["entry"])


def _mark_key(one: IndexList, place: int) -> Key:
    return keys.mark(one.index, one.partition, place, _MARK_EVERY)
