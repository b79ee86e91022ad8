"""Pages of lists."""

import pytest

from runyard.domain.errors import InvalidRequestError
from runyard.web.runs_api.paging import page_of


def test_a_page_is_a_range() -> None:
    page = page_of({"page": "3", "page_size": "10"}, ("sequence",), "sequence")
    assert page.bounds(25) == (21, 25)
    assert page.pagination(25) == {
        "page": 3,
        "page_size": 10,
        "page_count": 3,
        "total_count": 25,
    }


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"page": "0"}, "page"),
        ({"page": "x"}, "page"),
        ({"page": "\uff11"}, "page"),
        ({"page_size": "501"}, "page_size"),
        ({"page_size": ""}, "page_size"),
        ({"sort": "id"}, "sort"),
        ({"sort": ""}, "sort"),
        ({"sort": "--sequence"}, "sort"),
    ],
)
def test_what_is_out_of_range_is_named(query: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        page_of(query, ("sequence",), "sequence")
    assert list(caught.value.details) == [field]
