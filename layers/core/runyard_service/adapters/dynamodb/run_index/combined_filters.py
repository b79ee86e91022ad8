"""Lists of runs that no single index contains in the requested order.

If one of the lists is short, the records of its runs are read. Otherwise the keys of all lists are
read and compared: half a read unit for about 60 keys.
"""

from collections.abc import Iterable, Iterator, Sequence
from heapq import merge

from runyard_service.adapters.dynamodb.keys import run_id_of
from runyard_service.adapters.dynamodb.run_index.index_reader import IndexReader
from runyard_service.adapters.dynamodb.run_index.run_facts import Facts, RunFacts, matches, time_of
from runyard_service.adapters.dynamodb.run_index.run_list_plan import (
    API_STATUSES,
    RunFilter,
    by_start,
    groups_of,
    lists_by_end,
)
from runyard_service.domain.runs import ENDED

# Up to this number of runs, their records are read to filter and sort them: a read unit for a run.
_MAX_IN_MEMORY = 1_000


class CombinedFilters:
    """The reader of a single request."""

    def __init__(self, index: IndexReader, facts: RunFacts) -> None:
        self._index = index
        self._facts = facts

    def matching(self, run_filter: RunFilter) -> Sequence[str]:
        """Return the ids of all runs of the filter, in the requested order."""
        groups = groups_of(run_filter)
        candidates = list(groups)
        if run_filter.ended_after is not None:
            candidates.append(lists_by_end(run_filter, run_filter.listed_statuses))
        if run_filter.limits_start or not candidates:
            candidates.append(by_start(run_filter, frozenset(API_STATUSES)))
        shortest = min(candidates, key=self._index.length)
        if self._index.length(shortest) <= _MAX_IN_MEMORY:
            runs = self._facts.read(map(run_id_of, merge(*map(self._index.keys, shortest))))
            runs = [facts for facts in runs if matches(facts, run_filter)]
        else:
            groups = groups or [by_start(run_filter, frozenset(API_STATUSES))]
            entries = _intersect([merge(*map(self._index.keys, lists)) for lists in groups])
            if self._facts.fields == ("-started_at",) and run_filter.ended_after is None:
                # The entries are sorted in the reverse order, so only ids must be in memory.
                return [run_id_of(entry) for entry in entries][::-1]
            runs = self._read_facts_of_keys(run_filter, entries)
        return [str(facts["id"]) for facts in self._facts.sort(runs)]

    def _read_facts_of_keys(self, run_filter: RunFilter, entries: Iterable[str]) -> list[Facts]:
        """Return the fields for sorting, from the keys of the project's runs.

        Sixty keys take half a read unit.
        """
        runs = {
            run_id_of(entry): {"id": run_id_of(entry), "started_at": time_of(entry)}
            for entry in entries
        }
        for status in run_filter.listed_statuses:
            is_ended = status in ENDED
            only = frozenset({status})
            (partition,) = (lists_by_end if is_ended else by_start)(run_filter, only)
            for entry in self._index.keys(partition):
                if (facts := runs.get(run_id_of(entry))) is not None:
                    facts["status"] = status
                    if is_ended:
                        facts["ended_at"] = time_of(entry)
        # A run without a status ended before the limit, or changed its status during the reads.
        return [facts for facts in runs.values() if "status" in facts]


def _intersect(sorted_lists: Sequence[Iterator[str]]) -> Iterator[str]:
    """Yield the entries that all lists contain."""
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
