"""Parameters for pages of lists."""

import pytest
from starlette.datastructures import QueryParams

from runyard_service.api.http import unknown_names
from runyard_service.api.runs.paging import page_of
from runyard_service.domain.request_errors import InvalidRequestError


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
        ({"sort": "id"}, "sort"),
        ({"sort": "--sequence"}, "sort"),
    ],
)
def test_a_parameter_out_of_range_is_named(query: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        page_of(query, ("sequence",), "sequence")
    assert list(caught.value.details) == [field]


def test_a_list_can_be_sorted_by_several_fields() -> None:
    fields = ("started_at", "status")
    assert page_of({"sort": "status, -started_at"}, fields, "status").sort == (
        "status",
        "-started_at",
    )
    assert page_of({"sort": "status,-started_at,-status"}, fields, "status").sort == (
        "status",
        "-started_at",
    )
    with pytest.raises(InvalidRequestError, match="must contain only: started_at, status"):
        page_of({"sort": "status,ended"}, fields, "status")
    assert page_of({"sort": "status,"}, fields, "-started_at").sort == ("status",)
    for blank in ("", ",", " "):
        assert page_of({"sort": blank}, fields, "-started_at").sort == ("-started_at",)


def test_a_blank_parameter_counts_as_absent() -> None:
    page = page_of({"page": "", "page_size": ""}, ("sequence",), "sequence")
    assert (page.number, page.size) == (1, 25)


def test_names_of_parameters_are_checked() -> None:
    query = QueryParams("page=1&status=failed&status=completed&colour=red&page=2")
    assert unknown_names(query, {"page", "status"}, {"status"}) == {
        "colour": "is not a known parameter; known: page, status",
        "page": "must appear only once",
    }


def test_all_errors_are_named_at_once() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        page_of({"page": "0"}, ("id",), "id", known_issues={"colour": "is not a known parameter"})
    assert list(caught.value.details) == ["page", "colour"]
