"""Pages of run lists: the runs of a page, in order, and the total number of runs.

A page reads only keys (`index_reader.py`), from the indexes of the plan (`run_list_plan.py`), and
few more keys than it needs.

The order is total: the requested fields, then `-started_at` if it is not requested, and finally the
run's id, in the direction of `started_at`. A run that has not ended sorts as if it ended after all
others.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import groupby, islice

from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.dynamodb.keys import run_id_of as _id
from runyard_service.adapters.dynamodb.run_index.combined_filters import CombinedFilters
from runyard_service.adapters.dynamodb.run_index.index_reader import IndexReader, newest_first
from runyard_service.adapters.dynamodb.run_index.position_markers import PositionMarkers
from runyard_service.adapters.dynamodb.run_index.run_facts import RunFacts, time_of
from runyard_service.adapters.dynamodb.run_index.run_list_plan import (
    API_STATUSES,
    RunFilter,
    Segment,
    by_end,
    by_start,
    planned_segments,
)
from runyard_service.adapters.dynamodb.table import Table
from runyard_service.adapters.run_deletion import DeletedRun
from runyard_service.domain.runs import Run


@dataclass(frozen=True)
class RunIdPage:
    """The run ids of a page, and the length of the whole list."""

    ids: Sequence[str]
    total: int


class RunLists:
    """The lists of runs of the records table."""

    def __init__(self, table: Table, markers: PositionMarkers) -> None:
        self._table = table
        self._markers = markers

    def newest(
        self,
        projects: Sequence[str],
        statuses: frozenset[str],
        before: Run | DeletedRun | None,
        limit: int,
    ) -> list[str]:
        """Return the ids of the newest runs of these projects, newest first; no statuses: all.

        With `before`, only runs that are older than it.
        """
        listed = statuses or frozenset(API_STATUSES)
        lists = [
            partition for project in projects for partition in by_start(RunFilter(project), listed)
        ]
        cursor = keys.time_sort_key(before.started_at, before.id) if before else None
        return newest_first(self._table, lists, cursor, limit)

    def ended_before(self, project_id: str, status: str, moment: str) -> Iterator[str]:
        """Yield the ids of the runs that ended with `status` before `moment`, oldest first."""
        ended = by_end(project_id, status)
        values = {":partition": ended.partition, ":before": moment}
        condition = f"#{ended.partition_key} = :partition AND #{ended.sort_key} < :before"
        return map(_id, self._table.sort_keys(condition, values, ended.index))

    def page(self, run_filter: RunFilter, sort: Sequence[str], first: int, size: int) -> RunIdPage:
        """Return the runs at positions `first` (from 1) to `first + size - 1`; none after the end.

        `sort` names fields of SORTABLE; a `-` before the name means descending.
        """
        fields = tuple(sort)
        if not any(field.removeprefix("-") == "started_at" for field in fields):
            fields = (*fields, "-started_at")
        segments = planned_segments(run_filter, fields)
        reader = _PageReader(self._table, self._markers, fields)
        return reader.page(run_filter, segments, first, size)


class _PageReader:
    """The reader of a single request. It counts each list only once."""

    def __init__(self, table: Table, markers: PositionMarkers, fields: tuple[str, ...]) -> None:
        self._facts = RunFacts(table, fields)
        self._index = IndexReader(table, markers)

    def page(
        self, run_filter: RunFilter, segments: Sequence[Segment] | None, first: int, size: int
    ) -> RunIdPage:
        if segments is None:
            ids = CombinedFilters(self._index, self._facts).matching(run_filter)
            return RunIdPage(ids[first - 1 : first - 1 + size], len(ids))
        entries: list[str] = []
        total = 0
        for segment in segments:
            length = self._index.length(segment.lists)
            low, high = max(first - total, 1), min(first + size - 1 - total, length)
            if low <= high:
                entries += self._read_segment(segment, low, high, length)
            total += length
        return RunIdPage([_id(entry) for entry in entries], total)

    def _read_segment(self, segment: Segment, low: int, high: int, length: int) -> list[str]:
        """Return the entries at positions `low` to `high`, in the requested order."""
        margin = 4 if segment.has_ties else 0
        while True:
            start, end = max(1, low - margin), min(length, high + margin)
            entries = self._read_window(segment, start, end, length)
            page = slice(low - start, high - start + 1)
            if not segment.has_ties or not entries[page]:
                return entries[page]
            # The sort needs all runs of the first and the last time on the page.
            is_whole = start == 1 or time_of(entries[0]) != time_of(entries[page][0])
            if is_whole and (end == length or time_of(entries[-1]) != time_of(entries[page][-1])):
                return self._sort_ties(entries, page)
            margin *= 8

    def _sort_ties(self, entries: list[str], page: slice) -> list[str]:
        result: list[str] = []
        for _, group in groupby(entries, time_of):
            tied = list(group)
            if len(tied) > 1 and len(result) < page.stop and len(result) + len(tied) > page.start:
                by_id = {_id(entry): entry for entry in tied}
                tied = [by_id[facts["id"]] for facts in self._facts.sort(self._facts.read(by_id))]
            result += tied
        return result[page]

    def _read_window(self, segment: Segment, start: int, end: int, length: int) -> list[str]:
        """Return the entries at these positions, read from the nearer end of the segment."""
        before, after = start - 1, length - end
        count = end - before
        if segment.descending:
            before, after = after, before
        if len(segment.lists) == 1:
            entries, backward = self._read_list(segment, before, after, count)
        else:
            backward = after < before
            skip = min(before, after)
            # A single list may contain all entries of the window.
            streams = [
                self._index.keys(partition, descending=backward, limit=skip + count)
                for partition in segment.lists
            ]
            entries = list(islice(merge(*streams, reverse=backward), skip, skip + count))
        return entries if backward == segment.descending else entries[::-1]

    def _read_list(
        self, segment: Segment, before: int, after: int, count: int
    ) -> tuple[list[str], bool]:
        """Return `count` entries of a single list, and True if they are newest first.

        The list has `before` entries before them and `after` entries after them.
        """
        (partition,) = segment.lists
        marker, entry = (
            self._index.marker_before(partition, before) if partition.only_grows else (0, "")
        )
        # A new run moves positions counted from the newest run, but not from the oldest. A client
        # that reads pages in ascending order must not receive a run twice.
        is_stable = partition.only_grows and not segment.descending
        if after < before - marker and not is_stable:
            return list(self._index.keys(partition, descending=True, skip=after, limit=count)), True
        return list(
            self._index.keys(partition, after=entry, skip=before - marker, limit=count)
        ), False
