"""Read all pages of a list."""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

from runyard.client.core.effects import Item, Stream
from runyard.client.core.requests import (
    QueryValue,
    call_json,
    exchange,
    make_request,
    parse_json,
)

T = TypeVar("T")
PAGE_SIZE = 100
_NEXT = re.compile(r'<([^>]*)>\s*;\s*rel="next"')


def pages(path: str, query: Mapping[str, QueryValue], parse: Callable[[Any], T]) -> Stream[T]:
    """Yield the rows of all pages of the Runs API, each once.

    A new row moves the others: a row of the last page can come again on the next.
    """
    page, seen = 1, set[str]()
    while True:
        answer = yield from call_json(
            "GET", path, query={"page_size": PAGE_SIZE, **query, "page": page}
        )
        rows = answer["data"]
        for row in rows:
            if row.get("id") not in seen:
                yield Item(parse(row))
        seen = {str(row.get("id")) for row in rows}
        pagination = answer.get("pagination")
        if not pagination or page >= pagination["page_count"]:
            return
        page += 1


def linked(path: str, query: Mapping[str, QueryValue], parse: Callable[[Any], T]) -> Stream[T]:
    """Yield the rows of all pages of the Threads API, whose `Link` header has the next page."""
    query = {"limit": PAGE_SIZE, **query}
    while True:
        response = yield from exchange(make_request("GET", path, query=query))
        for row in parse_json(response):
            yield Item(parse(row))
        match = _NEXT.search(response.headers.get("link", ""))
        if match is None:
            return
        # Only the query: the key must not go to another host.
        query = dict(parse_qsl(urlsplit(match[1]).query))


def before(path: str, query: Mapping[str, QueryValue], parse: Callable[[Any], T]) -> Stream[T]:
    """Yield the rows of all pages of a list whose next page is `before` a row."""
    query = {"page_size": PAGE_SIZE, **query}
    while True:
        answer = yield from call_json("GET", path, query=query)
        for row in answer["data"]:
            yield Item(parse(row))
        cursor = answer["pagination"].get("next_before")
        if not cursor:
            return
        query = {**query, "before": cursor}
