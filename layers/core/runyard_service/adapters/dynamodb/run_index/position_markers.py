"""The marks of long lists: at every 250th place, the entry that stands there.

To a list entries are only ever added at its end, until a run is deleted: then every place behind it
moves. So whoever deletes first writes that the list has **changed**, then takes the run out of it,
then deletes its marks; and for a while after a change no mark is used or set, because the index may
not have followed yet:

    deletes    changed 12:00   run out of the list   marks deleted
    reads                  12:01: counts the whole list       12:15: counts, and sets marks anew

A reader that began before the change sets its marks only where no change has come in since.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.dynamodb.attributes import ConditionFailedError, Key, transact
from runyard_service.adapters.dynamodb.run_index.run_list_plan import IndexPartition
from runyard_service.adapters.dynamodb.table import Table
from runyard_service.domain.clock import timestamp, timestamp_in

MARKER_INTERVAL = 250
# A long list that was never read before gets its marks by several readers, so that none waits long;
# and a transaction takes no more than these and one check.
MARKERS_AT_ONCE = 99
# A mark is set only where nothing can still come in before it, and nothing has just gone: a run's
# stamp is milliseconds older than its record, and an index is seconds behind its table.
STABLE_AFTER_SECONDS = 900
# One change of a list stands for the deletions of the next minute, too: that still leaves most of
# the time above.
_CHANGE_HOLDS_SECONDS = 60


@dataclass(frozen=True)
class LastMarker:
    """The last mark of a list (place 0: none is to be used), and whether others may be set."""

    position: int
    entry: str
    may_be_followed: bool
    changed_at: str | None


class PositionMarkers:
    """The mark items of the records table."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._changed: dict[IndexPartition, float] = {}

    def last(self, one: IndexPartition) -> LastMarker:
        """What a reader of the list begins with."""
        found = self._table.query(
            "#pk = :pk",
            {":pk": _position(one, 0)["pk"]},
            consistent=False,
            descending=True,
            limit=2,
        )
        items = {str(item["sk"]): item for item in found}
        changed = items.pop(keys.CHANGED, {}).get("at")
        if changed is not None and changed > timestamp_in(-STABLE_AFTER_SECONDS):
            return LastMarker(0, "", may_be_followed=False, changed_at=changed)
        for sk in sorted(items, reverse=True)[:1]:
            return LastMarker(int(sk), str(items[sk]["entry"]), True, changed)
        return LastMarker(0, "", True, changed)

    def entry_at(self, one: IndexPartition, place: int) -> str | None:
        """The entry at a marked place; None where the marks have just been deleted."""
        item = self._table.get(_position(one, place))
        return None if item is None else str(item["entry"])

    def follow(self, one: IndexPartition, last: LastMarker, entries: Mapping[int, str]) -> bool:
        """Set the next marks, all or none; not where the list has changed since `last` was read."""
        place = keys.changed_list(one.index, one.partition, MARKER_INTERVAL)
        unchanged = (
            self._table.absence_check(place)
            if last.changed_at is None
            else self._table.check_change(place, only_if={"at": last.changed_at})
        )
        puts = [
            self._table.put_change({**_position(one, number), "entry": entry})
            for number, entry in entries.items()
        ]
        try:
            transact(self._table.client, [unchanged, *puts])
        except ConditionFailedError:
            return False
        return True

    def start_change(self, lists: Iterable[IndexPartition]) -> None:
        """Entries of these lists are about to go: their places hold no more."""
        for one in lists:
            if not self._holds(one):
                place = keys.changed_list(one.index, one.partition, MARKER_INTERVAL)
                self._table.put({**place, "at": timestamp()})

    def finish_change(self, lists: Iterable[IndexPartition]) -> None:
        """They have gone: delete the marks that stood before."""
        for one in lists:
            if self._holds(one):
                continue
            begun = time.monotonic()
            found = self._table.query("#pk = :pk", {":pk": _position(one, 0)["pk"]})
            places = [
                {"pk": item["pk"], "sk": item["sk"]} for item in found if item["sk"] != keys.CHANGED
            ]
            self._table.delete_many(places)
            self._changed = {**self._still_held(), one: begun}

    def _holds(self, one: IndexPartition) -> bool:
        """Whether this process has just changed the list: nobody can have set a mark since."""
        return one in self._still_held()

    def _still_held(self) -> dict[IndexPartition, float]:
        since = time.monotonic() - _CHANGE_HOLDS_SECONDS
        return {one: at for one, at in self._changed.items() if at > since}


def _position(one: IndexPartition, number: int) -> Key:
    return keys.mark(one.index, one.partition, number, MARKER_INTERVAL)
