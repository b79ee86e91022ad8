"""Lists of runs: which runs stand on a page, in what order, and how many there are in all.

Only keys are read (`index_reader.py`), from the indexes that the plan names (`run_list_plan.py`),
and of those hardly more than the page needs.

The order is total: the fields that are asked for, then `-started_at` if it is not among them, and
at last the run's id, in the direction of `started_at`. A run that has not ended sorts as if it
ended after all others.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import groupby, islice
from typing import Any

from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.dynamodb.keys import run_id_of as _id
from runyard_service.adapters.dynamodb.run_index.index_reader import IndexReader, newest_first
from runyard_service.adapters.dynamodb.run_index.position_markers import PositionMarkers
from runyard_service.adapters.dynamodb.run_index.run_list_plan import (
    API_STATUSES,
    RunFilter,
    Segment,
    by_end,
    by_start,
    groups_of,
    planned_segments,
)
from runyard_service.adapters.dynamodb.runs import api_status
from runyard_service.adapters.dynamodb.table import Table
from runyard_service.adapters.run_deletion import DeletedRun
from runyard_service.domain.runs import ENDED, Run

# Up to so many runs, their records are read to filter and sort them; it takes one read unit a run.
_MAX_IN_MEMORY = 1_000
# What runs are filtered and sorted by.
_Facts = Mapping[str, Any]
_FACTS = (
    *("id", "status", "open_requests", "started_at", "ended_at", "user_id", "session_id"),
    "deleted_at",
)


@dataclass(frozen=True)
class RunIdPage:
    """One page of a list, and the length of the whole."""

    ids: Sequence[str]
    total: int


class RunLists:
    """The lists of runs of the records table."""

    def __init__(self, table: Table, marks: PositionMarkers) -> None:
        self._table = table
        self._marks = marks

    def newest(
        self,
        projects: Sequence[str],
        statuses: frozenset[str],
        before: Run | DeletedRun | None,
        limit: int,
    ) -> list[str]:
        """The ids of the newest runs of these projects, newest first; no statuses: of any.

        With `before`, only runs that are older than it.
        """
        wanted = statuses or frozenset(API_STATUSES)
        lists = [one for project in projects for one in by_start(project, wanted)]
        cursor = keys.time_sort_key(before.started_at, before.id) if before else None
        return newest_first(self._table, lists, cursor, limit)

    def ended_before(self, project_id: str, status: str, moment: str) -> Iterator[str]:
        """The ids of the runs that ended so before the moment, oldest first."""
        one = by_end(project_id, status)
        values = {":partition": one.partition, ":before": moment}
        condition = f"#{one.partition_key} = :partition AND #{one.sort_key} < :before"
        return map(_id, self._table.sort_keys(condition, values, one.index))

    def page(self, wanted: RunFilter, sort: Sequence[str], first: int, size: int) -> RunIdPage:
        """The runs at the places `first` (from 1) to `first + size - 1`; beyond the end: none.

        `sort` names fields of SORTABLE, `-` before a descending one.
        """
        fields = tuple(sort)
        if not any(field.removeprefix("-") == "started_at" for field in fields):
            fields = (*fields, "-started_at")
        segments = planned_segments(wanted, fields)
        return _PageReader(self._table, self._marks, fields).page(wanted, segments, first, size)


class _PageReader:
    """One request's reading: what was counted once is not counted again."""

    def __init__(self, table: Table, marks: PositionMarkers, fields: tuple[str, ...]) -> None:
        self._table = table
        self._fields = fields
        self._index = IndexReader(table, marks)

    def page(
        self, wanted: RunFilter, segments: Sequence[Segment] | None, first: int, size: int
    ) -> RunIdPage:
        if segments is None:
            return self._filter_in_memory(wanted, first, size)
        entries: list[str] = []
        total = 0
        for segment in segments:
            length = self._index.length(segment.lists)
            low, high = max(first - total, 1), min(first + size - 1 - total, length)
            if low <= high:
                entries += self._of_segment(segment, low, high, length)
            total += length
        return RunIdPage([_id(entry) for entry in entries], total)

    # --- lists as the indexes have them --------------------------------------------------------

    def _of_segment(self, segment: Segment, low: int, high: int, length: int) -> list[str]:
        """The entries at places `low` to `high`, in the order of the answer."""
        around = 4 if segment.has_ties else 0
        while True:
            start, end = max(1, low - around), min(length, high + around)
            entries = self._window(segment, start, end, length)
            page = slice(low - start, high - start + 1)
            if not segment.has_ties or not entries[page]:
                return entries[page]
            # All runs of the moments that the page touches have to be in hand to be sorted.
            whole = start == 1 or _time(entries[0]) != _time(entries[page][0])
            if whole and (end == length or _time(entries[-1]) != _time(entries[page][-1])):
                return self._with_ties_sorted(entries, page)
            around *= 8

    def _with_ties_sorted(self, entries: list[str], page: slice) -> list[str]:
        done: list[str] = []
        for _, group in groupby(entries, _time):
            tied = list(group)
            if len(tied) > 1 and len(done) < page.stop and len(done) + len(tied) > page.start:
                by_id = {_id(entry): entry for entry in tied}
                tied = [by_id[fact["id"]] for fact in self._ordered(self._facts(by_id))]
            done += tied
        return done[page]

    def _window(self, segment: Segment, start: int, end: int, length: int) -> list[str]:
        """The entries at these places of the segment, read from the end of it that is nearer."""
        before, behind = start - 1, length - end
        count = end - before
        if segment.descending:
            before, behind = behind, before
        if len(segment.lists) == 1:
            entries, backward = self._of_list(segment, before, behind, count)
        else:
            backward = behind < before
            skip = min(before, behind)
            # No list gives more than all of them together have to.
            streams = [
                self._index.keys(one, descending=backward, limit=skip + count)
                for one in segment.lists
            ]
            entries = list(islice(merge(*streams, reverse=backward), skip, skip + count))
        return entries if backward == segment.descending else entries[::-1]

    def _of_list(
        self, segment: Segment, before: int, behind: int, count: int
    ) -> tuple[list[str], bool]:
        """So many entries of one list, with so many before and behind; True: newest first."""
        (one,) = segment.lists
        mark, after = self._index.marker_before(one, before) if one.only_grows else (0, "")
        # Places that are counted from the newest move when a run is added, places counted from the
        # oldest do not: who reads upwards, page by page, must not meet a run twice.
        holds_still = one.only_grows and not segment.descending
        if behind < before - mark and not holds_still:
            return list(self._index.keys(one, descending=True, skip=behind, limit=count)), True
        return list(self._index.keys(one, after=after, skip=before - mark, limit=count)), False

    # --- filters and orders that no index has --------------------------------------------------

    def _filter_in_memory(self, wanted: RunFilter, first: int, size: int) -> RunIdPage:
        """Combined filters: from the shortest list's records, or from lists read in step."""
        groups = groups_of(wanted)
        shortest = min(groups, key=self._index.length)
        page = slice(first - 1, first - 1 + size)
        if self._index.length(shortest) <= _MAX_IN_MEMORY:
            facts = self._facts(map(_id, merge(*map(self._index.keys, shortest))))
            facts = [fact for fact in facts if _fits(fact, wanted)]
        else:
            entries = _in_all([merge(*map(self._index.keys, lists)) for lists in groups])
            if self._fields == ("-started_at",):
                # In order already, against its direction: only ids have to be remembered.
                ids = [_id(entry) for entry in entries][::-1]
                return RunIdPage(ids[page], len(ids))
            facts = self._facts_of_keys(wanted.project_id, entries)
        ordered = self._ordered(facts)
        return RunIdPage([fact["id"] for fact in ordered[page]], len(ordered))

    def _facts(self, run_ids: Iterable[str]) -> list[_Facts]:
        """What runs are filtered and sorted by, from their records."""
        found = self._table.batch_get([keys.run(run_id) for run_id in run_ids], _FACTS)
        return [
            {**item, "status": api_status(item["status"], int(item["open_requests"]))}
            for item in found
            if "deleted_at" not in item  # Its index is behind.
        ]

    def _facts_of_keys(self, project: str, entries: Iterable[str]) -> list[_Facts]:
        """What runs are sorted by, from the keys of all the project's: sixty take one read unit."""
        facts = {_id(entry): {"id": _id(entry), "started_at": _time(entry)} for entry in entries}
        for status in API_STATUSES:
            (one,) = by_start(project, frozenset({status}))
            for entry in self._index.keys(one.same_length or one):
                if (fact := facts.get(_id(entry))) is not None:
                    fact["status"] = status
                    if status in ENDED:
                        fact["ended_at"] = _time(entry)
        # Without a status: it was changing while the lists were read.
        return [fact for fact in facts.values() if "status" in fact]

    def _ordered(self, facts: list[_Facts]) -> list[_Facts]:
        newest_first = "-started_at" in self._fields
        ordered = sorted(facts, key=lambda fact: str(fact["id"]), reverse=newest_first)
        for field in reversed(self._fields):
            value = _VALUES[field.removeprefix("-")]
            ordered.sort(key=value, reverse=field.startswith("-"))
        return ordered


def _in_all(sorted_lists: Sequence[Iterator[str]]) -> Iterator[str]:
    """What is in every one of the lists."""
    leading, *others = sorted_lists
    heads = [next(other, None) for other in others]
    for entry in leading:
        for number, other in enumerate(others):
            while (head := heads[number]) is not None and head < entry:
                heads[number] = next(other, None)
        if all(head == entry for head in heads):
            yield entry
        elif None in heads:
            return


def _time(entry: str) -> str:
    return entry.partition("#")[0]


# What a run sorts by; the end of a live one is after every other.
_VALUES: Mapping[str, Callable[[_Facts], str]] = {
    "started_at": lambda facts: str(facts["started_at"]),
    "ended_at": lambda facts: str(facts.get("ended_at", "~")),
    "status": lambda facts: str(facts["status"]),
}


def _fits(fact: _Facts, wanted: RunFilter) -> bool:
    return (
        (not wanted.statuses or fact["status"] in wanted.statuses)
        and (wanted.user_id is None or fact.get("user_id") == wanted.user_id)
        and (wanted.session_id is None or fact.get("session_id") == wanted.session_id)
    )
