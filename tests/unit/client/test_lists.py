"""Lists that change or are too large while a client reads them."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from runyard.client.core.bodies import to_json
from runyard.client.core.effects import Item, Response, Send, Stream
from runyard.client.core.lists import linked, pages
from runyard.client.errors import ApiError


def read(stream: Stream[Any], serve: Any) -> Iterator[Any]:
    """Yield the items; `serve` answers each request with its query."""
    result = None
    while True:
        try:
            effect = stream.send(result)
        except StopIteration:
            return
        result = None
        if isinstance(effect, Item):
            yield effect.value
        else:
            assert isinstance(effect, Send)
            query = {name: text for name, [text] in parse_qs(_query(effect)).items()}
            result = serve(query)


def _query(effect: Send) -> str:
    return urlsplit(effect.request.target).query


def answer(status: int, body: Any, **headers: str) -> Response:
    return Response(status, "https://api.test/v1/runs", headers, to_json(body))


class Runs:
    """A list by pages. A new run can come, and a page above `most` rows is too large."""

    def __init__(self, count: int, most: int = 500) -> None:
        self.ids = [f"run-{number}" for number in range(count, 0, -1)]
        self.grows = False
        self.sizes: list[int] = []
        self._most = most

    def __call__(self, query: dict[str, str]) -> Response:
        """Answer a request."""
        page, size = int(query["page"]), int(query["page_size"])
        self.sizes.append(size)
        rows = self.ids[(page - 1) * size : page * size]
        if len(rows) > self._most:
            return answer(413, {"error": {"code": "payload_too_large", "message": ""}})
        if self.grows:
            self.ids.insert(0, f"run-{len(self.ids) + 1}")
        page_count = -(-len(self.ids) // size)
        return answer(
            200, {"data": [{"id": each} for each in rows], "pagination": {"page_count": page_count}}
        )


def ids(runs: Runs, **query: Any) -> list[str]:
    return [row["id"] for row in read(pages("/v1/runs", query, lambda row: row), runs)]


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 130])
def test_every_row_comes_once(count: int) -> None:
    runs = Runs(count)
    assert ids(runs) == runs.ids


def test_a_new_run_repeats_no_row() -> None:
    runs = Runs(20)
    before, runs.grows = list(runs.ids), True
    assert ids(runs, page_size=8)[:20] == before


def test_a_page_that_is_too_large_is_halved() -> None:
    runs = Runs(100, most=20)
    assert ids(runs) == runs.ids
    assert runs.sizes == [64, 32, *[16] * 7]
    with pytest.raises(ApiError, match="413"):
        ids(Runs(3, most=0))


def test_a_link_has_the_query_of_the_next_page_and_no_host() -> None:
    threads = {
        "": answer(200, [{"id": "2"}], link='<https://evil.test/x?limit=1&before=2>; rel="next"'),
        "2": answer(200, [{"id": "1"}]),
    }
    seen = read(
        linked("/threads/v1/threads", {}, lambda row: row["id"]),
        lambda query: threads[query.get("before", "")],
    )
    assert list(seen) == ["2", "1"]
