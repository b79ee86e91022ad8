"""Parse `limit` and a cursor, and build responses with a `Link` header to the next page."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Request

from runyard_service.api.http import JsonResponse, unknown_names
from runyard_service.domain.request_errors import InvalidRequestError

DEFAULT_LIMIT = 50
MAX_LIMIT = 200


def page_query(
    request: Request, known: frozenset[str], default: int = DEFAULT_LIMIT, most: int = MAX_LIMIT
) -> tuple[Mapping[str, str], int]:
    """Return the query parameters that are not blank, and the limit.

    Raise InvalidRequestError with each invalid parameter.
    """
    query = request.query_params
    issues = unknown_names(query, {*known, "limit"})
    text = query.get("limit", "").strip()
    limit = int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 0
    if text and not 1 <= limit <= most:
        issues["limit"] = f"must be an integer from 1 to {most}"
    if issues:
        raise InvalidRequestError(issues)
    parameters = {name: value for name, value in query.items() if value}
    return parameters, limit or default


def page_response(
    request: Request, rows: Sequence[Mapping[str, Any]], next_query: Mapping[str, str] | None
) -> JsonResponse:
    """Return the rows as an array. `next_query` has the query parameters of the next page."""
    headers = {}
    if next_query is not None:
        url = request.url.include_query_params(**next_query)
        headers["Link"] = f'<{url}>; rel="next"'
    return JsonResponse(list(rows), headers=headers)
