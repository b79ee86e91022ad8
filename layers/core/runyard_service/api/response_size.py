"""The largest response of the API endpoint. API Gateway answers 500 for a larger one.

The function returns a response as JSON with the body as a string, and Lambda limits this JSON to
6,291,556 bytes. The streaming endpoint has no such limit, so errors and redirects name it.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from starlette.responses import Response

from runyard_service.api.http import JsonResponse
from runyard_service.api.services import Services
from runyard_service.domain.request_errors import ResponseTooLargeError

LAMBDA_RESPONSE_BYTES = 6_291_556
# For the status and the headers. A `Link` repeats the query of the request.
_HEADERS_BYTES = 64 * 1024
_MAX_BYTES = LAMBDA_RESPONSE_BYTES - _HEADERS_BYTES

Row = Mapping[str, Any]


def escaped_size(body: bytes) -> int:
    """Return the bytes of a JSON body as a string inside the JSON of Lambda."""
    return len(body) + body.count(b'"') + body.count(b"\\")


def is_too_large(services: Services, response: Response) -> bool:
    """Return True if this endpoint cannot return the response."""
    return bool(services.settings.stream_url) and escaped_size(bytes(response.body)) > _MAX_BYTES


class RowSizes:
    """The total size of the rows of a page.

    `parameter` and `advice` are for the error: the parameter that reduces the rows, and how.
    """

    def __init__(
        self,
        services: Services,
        parameter: str = "page_size",
        advice: str = "set a smaller page_size",
    ) -> None:
        self._stream_url = services.settings.stream_url
        self._parameter, self._advice = parameter, advice
        self._size = 0

    def add(self, row: Row) -> None:
        """Count the row. Raise ResponseTooLargeError if this endpoint cannot return the page."""
        if not self._stream_url:
            return  # The streaming endpoint has no limit.
        self._size += _size_of(row)
        if self._size > _MAX_BYTES:
            way_out = f"{self._advice}, or send the request to {self._stream_url}"
            raise ResponseTooLargeError({self._parameter: f"the page is above 6 MB; {way_out}"})

    def checked(self, rows: Iterable[Row]) -> list[Row]:
        """Count and return the rows. Raise as `add`."""
        result = []
        for row in rows:
            self.add(row)
            result.append(row)
        return result


def fitting_rows(rows: Iterable[Row]) -> list[Row]:
    """Return the first rows that fit a response, at least one. The rest is on the next page.

    The page is the same at both endpoints.
    """
    fitting: list[Row] = []
    size = 0
    for row in rows:
        size += _size_of(row)
        if fitting and size > _MAX_BYTES:
            break
        fitting.append(row)
    return fitting


def _size_of(row: Row) -> int:
    return escaped_size(bytes(JsonResponse(row).body)) + 1
