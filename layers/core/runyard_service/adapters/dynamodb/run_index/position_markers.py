"""Position markers of long lists: the entry at every 250th position.

Entries are only added at the end of a list, until a run is deleted. A deletion moves all later
positions. So a deletion first records that the list has **changed**, then removes the run from the
list, and then deletes the list's markers. For 15 minutes after a change, readers neither use nor
write markers, because the index may not show the change yet:

    deletion   changed 12:00   run removed from the list   markers deleted
    reader                 12:01: counts the whole list       12:15: counts, and writes new markers

A reader that started before the change writes its markers only if no change was recorded since.
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
# A transaction takes 100 entries: these markers and a check. Several readers write the markers of a
# long list that was never read, so no reader waits long.
MARKERS_AT_ONCE = 99
# A marker is written only if no entry can still arrive before it, and none was just removed. A
# run's timestamp is milliseconds older than its record, and an index lags its table by seconds.
STABLE_AFTER_SECONDS = 900
# A recorded change of a list also covers the deletions of the next minute. Most of
# STABLE_AFTER_SECONDS still follows the last of them.
_CHANGE_COVERS_SECONDS = 60


@dataclass(frozen=True)
class LastMarker:
    """The last marker of a list, and whether further markers may be written.

    Position 0 means that no marker may be used.
    """

    position: int
    entry: str
    may_be_followed: bool
    changed_at: str | None


class PositionMarkers:
    """The marker items of the records table."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._changed: dict[IndexPartition, float] = {}

    def last(self, partition: IndexPartition) -> LastMarker:
        """Return the last marker, with which a reader of the list starts."""
        newest = self._table.query(
            "#pk = :pk",
            {":pk": _marker_key(partition, 0)["pk"]},
            consistent=False,
            descending=True,
            limit=2,
        )
        items = {str(item["sk"]): item for item in newest}
        changed = items.pop(keys.CHANGED, {}).get("at")
        if changed is not None and changed > timestamp_in(-STABLE_AFTER_SECONDS):
            return LastMarker(0, "", may_be_followed=False, changed_at=changed)
        for sk in sorted(items, reverse=True)[:1]:
            return LastMarker(int(sk), str(items[sk]["entry"]), True, changed)
        return LastMarker(0, "", True, changed)

    def entry_at(self, partition: IndexPartition, position: int) -> str | None:
        """Return the entry of the marker at a position; None if it has just been deleted."""
        item = self._table.get(_marker_key(partition, position))
        return None if item is None else str(item["entry"])

    def follow(
        self, partition: IndexPartition, last: LastMarker, entries: Mapping[int, str]
    ) -> bool:
        """Write the next markers, all or none; `entries` has the entry of each position.

        Return False, and write nothing, if the list has changed since `last` was read.
        """
        changed_key = keys.changed_list(partition.index, partition.partition, MARKER_INTERVAL)
        unchanged = (
            self._table.absence_check(changed_key)
            if last.changed_at is None
            else self._table.check_change(changed_key, only_if={"at": last.changed_at})
        )
        markers = [
            self._table.put_change({**_marker_key(partition, position), "entry": entry})
            for position, entry in entries.items()
        ]
        try:
            transact(self._table.client, [unchanged, *markers])
        except ConditionFailedError:
            return False
        return True

    def start_change(self, lists: Iterable[IndexPartition]) -> None:
        """Record that the lists change, before entries are removed from them."""
        for partition in lists:
            if not self._is_covered(partition):
                key = keys.changed_list(partition.index, partition.partition, MARKER_INTERVAL)
                self._table.put({**key, "at": timestamp()})

    def finish_change(self, lists: Iterable[IndexPartition]) -> None:
        """Delete the markers of the lists, after entries were removed from them."""
        for partition in lists:
            if self._is_covered(partition):
                continue
            started_at = time.monotonic()
            items = self._table.query("#pk = :pk", {":pk": _marker_key(partition, 0)["pk"]})
            marker_keys = [
                {"pk": item["pk"], "sk": item["sk"]} for item in items if item["sk"] != keys.CHANGED
            ]
            self._table.delete_many(marker_keys)
            self._changed = {**self._covered(), partition: started_at}

    def _is_covered(self, partition: IndexPartition) -> bool:
        """Return whether this process has just changed the list, so that it has no markers."""
        return partition in self._covered()

    def _covered(self) -> dict[IndexPartition, float]:
        since = time.monotonic() - _CHANGE_COVERS_SECONDS
        return {partition: at for partition, at in self._changed.items() if at > since}


def _marker_key(partition: IndexPartition, position: int) -> Key:
    return keys.position_marker(partition.index, partition.partition, position, MARKER_INTERVAL)
