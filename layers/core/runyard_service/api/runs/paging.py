"""Pages of lists: `page`, `page_size` and `sort` in, `pagination` out."""

from collections.abc import Mapping
from dataclasses import dataclass

from runyard_service.domain.errors import InvalidRequestError

DEFAULT_PAGE_SIZE = 25
MAX_PAGE_SIZE = 500
# Far beyond any list, and small enough that page * page_size stays a sane number.
_MAX_PAGE = 10**9


@dataclass(frozen=True)
class Page:
    """The page that is asked for; `sort` holds field names, `-` before a descending one."""

    number: int
    size: int
    sort: tuple[str, ...]

    def bounds(self, total: int) -> tuple[int, int]:
        """The first and the last place of the page, from 1; empty where first > last."""
        first = (self.number - 1) * self.size + 1
        return first, min(first + self.size - 1, total)

    def pagination(self, total: int) -> dict[str, int]:
        """The answer's `pagination`."""
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
    known_faults: Mapping[str, str] | None = None,
) -> Page:
    """The page that a query asks for.

    Raises InvalidRequestError naming each parameter at fault, `known_faults` among them.
    """
    faults: dict[str, str] = {}

    def number(name: str, default: int, highest: int) -> int:
        text = query.get(name)
        if text is None:
            return default
        if text.isascii() and text.isdecimal() and len(text) < 12 and 1 <= int(text) <= highest:
            return int(text)
        faults[name] = f"must be an integer from 1 to {highest}"
        return default

    page = number("page", 1, _MAX_PAGE)
    size = number("page_size", DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
    sort: dict[str, str] = {}
    for part in query.get("sort", default_sort).split(","):
        # A field that comes again changes nothing: what it would decide is equal in it.
        sort.setdefault(part.strip().removeprefix("-"), part.strip())
    if not sort.keys() <= set(sortable):
        faults["sort"] = f"must contain only: {', '.join(sortable)}"
    faults |= known_faults or {}
    if faults:
        raise InvalidRequestError(faults)
    return Page(page, size, tuple(sort.values()))
