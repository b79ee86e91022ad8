"""The newest entries of index lists, from a cursor on: pages that new entries do not disturb.

A cursor is an entry, `<time>#<id>`, and a page is what comes before it in time. So who pages from
the newest to the oldest meets nothing twice and misses nothing, however much is added meanwhile.
"""

from collections.abc import Iterable, Iterator
from heapq import merge
from itertools import islice

from runyard_service.adapters.dynamodb.run_index.run_list_plan import IndexList
from runyard_service.adapters.dynamodb.table import Table


def newest_first(
    table: Table, lists: Iterable[IndexList], before: str | None, limit: int
) -> list[str]:
    """The ids of the newest `limit` entries of all lists together, newest first.

    `before` is an entry: only older ones count. Half a read unit for about 60 keys of each list.
    """
    streams = [_older(table, one, before, limit) for one in lists]
    entries = islice(merge(*streams, reverse=True), limit)
    return [entry.partition("#")[2] for entry in entries]


def _older(table: Table, one: IndexList, before: str | None, limit: int) -> Iterator[str]:
    # No entry is later than "9": that is the year 9000 and something.
    values = {":partition": one.partition, ":before": before or "9"}
    condition = f"#{one.partition_key} = :partition AND #{one.sort_key} < :before"
    return table.sort_keys(condition, values, one.index, descending=True, limit=limit)
