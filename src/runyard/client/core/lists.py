"""Read all pages of a list."""

from collections.abc import Mapping
from typing import Any, TypeVar

from runyard.client.core.effects import Item, Stream
from runyard.client.core.requests import QueryValue, call_json
from runyard.client.records import Record

R = TypeVar("R", bound=Record)
PAGE_SIZE = 100


def pages(path: str, query: Mapping[str, QueryValue], record: type[R]) -> Stream[R]:
    """Yield the records of all pages of the Runs API, each once.

    A new record moves the others: one of the last page can come again on the next.
    """
    page, seen = 1, set[str]()
    while True:
        answer = yield from call_json(
            "GET", path, query={"page_size": PAGE_SIZE, **query, "page": page}
        )
        rows = answer["data"]
        for row in rows:
            if row.get("id") not in seen:
                yield Item(record.parse(row))
        seen = {str(row.get("id")) for row in rows}
        pagination = answer.get("pagination")
        if not rows or not pagination or page >= pagination["page_count"]:
            return
        page += 1


def chain(
    path: str,
    query: Mapping[str, QueryValue],
    record: type[R],
    *,
    cursor: str,
    key: str = "id",
    limit: str = "limit",
) -> Stream[R]:
    """Yield the records of all pages of a list that continues after the last record."""
    query = {limit: PAGE_SIZE, **query}
    while True:
        answer: Any = yield from call_json("GET", path, query=query)
        rows = answer["data"] if isinstance(answer, dict) else answer
        for row in rows:
            yield Item(record.parse(row))
        if len(rows) < int(str(query[limit])):
            return
        query = {**query, cursor: rows[-1][key]}
