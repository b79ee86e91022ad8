"""Parse `page`, `page_size` and `sort`, and build `pagination`."""

from collections.abc import Mapping
from dataclasses import dataclass

from runyard_service.domain.request_errors import InvalidRequestError

DEFAULT_PAGE_SIZE = 25
MAX_PAGE_SIZE = 500
# Larger than any list, and small enough for page * page_size to stay a reasonable number.
_MAX_PAGE = 10**9


@dataclass(frozen=True)
class Page:
    """The requested page. `sort` has field names, with a `-` prefix for descending order."""

    number: int
    size: int
    sort: tuple[str, ...]

    def bounds(self, total: int) -> tuple[int, int]:
        """Return first and last position of the page, from 1. It is empty if first > last."""
        first = (self.number - 1) * self.size + 1
        return first, min(first + self.size - 1, total)

    def pagination(self, total: int) -> dict[str, int]:
        """Return the `pagination` of the response."""
        return {
            "page": self.number,
            "page_size": self.size,
            "page_count": -(-total // self.size),
            "total_count": total,
        }


def page_of(
    query: Mapping[str, str],
    sortable: tuple[str, ...],
    default_sort: str,
    known_issues: Mapping[str, str] | None = None,
) -> Page:
    """Return the page that the query requests.

    Raise InvalidRequestError with each invalid parameter, including `known_issues`.
    """
    issues: dict[str, str] = {}

    def number(name: str, default: int, highest: int) -> int:
        text = query.get(name)
        if not text:
            return default
        if text.isascii() and text.isdecimal() and len(text) < 12 and 1 <= int(text) <= highest:
            return int(text)
        issues[name] = f"must be an integer from 1 to {highest}"
        return default

    page = number("page", 1, _MAX_PAGE)
    size = number("page_size", DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
    sort: dict[str, str] = {}
    parts = [part for part in query.get("sort", "").split(",") if part.strip()]
    for part in parts or [default_sort]:
        # A repeated field has no effect: rows that reach it are equal in this field.
        sort.setdefault(part.strip().removeprefix("-"), part.strip())
    if not sort.keys() <= set(sortable):
        issues["sort"] = f"must contain only: {', '.join(sortable)}"
    issues |= known_issues or {}
    if issues:
        raise InvalidRequestError(issues)
    return Page(page, size, tuple(sort.values()))
