"""Pages of lists: `limit` and a cursor in, a `Link` header to the next page out."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Request

from runyard_service.api.http import JsonResponse, unknown_names
from runyard_service.domain.errors import InvalidRequestError

DEFAULT_LIMIT = 50
MAX_LIMIT = 200


def page_query(
    request: Request, known: frozenset[str], default: int = DEFAULT_LIMIT, most: int = MAX_LIMIT
) -> tuple[Mapping[str, str], int]:
    """The query's parameters, without a blank cursor, and its `limit`.

    Raises InvalidRequestError naming each parameter at fault.
    """
    query = request.query_params
    faults = unknown_names(query, {*known, "limit"})
    text = query.get("limit", "").strip()
    limit = int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 0
    if "limit" in query and not 1 <= limit <= most:
        faults["limit"] = f"must be an integer from 1 to {most}"
    if faults:
        raise InvalidRequestError(faults)
    given = {name: value for name, value in query.items() if value or name != "before"}
    return given, limit or default


def page_answer(
    request: Request, rows: Sequence[Mapping[str, Any]], following: Mapping[str, str] | None
) -> JsonResponse:
    """The rows as an array; `following` is what the next page's query has differently."""
    headers = {}
    if following is not None:
        url = request.url.include_query_params(**following)
        headers["Link"] = f'<{url}>; rel="next"'
    return JsonResponse(list(rows), headers=headers)
