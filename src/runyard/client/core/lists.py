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
from runyard.client.errors import ApiError

T = TypeVar("T")
PAGE_SIZE = 64
"""A power of two: half a page starts where a page starts."""
_NEXT = re.compile(r'<([^>]*)>\s*;\s*rel="next"')


def pages(path: str, query: Mapping[str, QueryValue], parse: Callable[[Any], T]) -> Stream[T]:
    """Yield the rows of all pages of the Runs API, each once.

    A new row moves the others: a row of the last page can come again on the next. If a page is too
    large for the endpoint, the pages from then on have half as many rows.
    """
    size, offset, seen = int(str(query.get("page_size") or PAGE_SIZE)), 0, set[str]()
    while True:
        page = {"page_size": size, "page": offset // size + 1}
        try:
            answer = yield from call_json("GET", path, query={**query, **page})
        except ApiError as error:
            if error.status != 413 or size % 2:
                raise
            size //= 2
            continue
        rows = answer["data"]
        for row in rows:
            if row.get("id") not in seen:
                yield Item(parse(row))
        seen = {str(row.get("id")) for row in rows}
        offset += size
        if page["page"] >= answer.get("pagination", {}).get("page_count", 0):
            return


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
