"""Error bodies of the Runs API: a table from error class to status and code.

Responses never contain stack traces or messages of libraries: `details` are always ours.
"""

from collections.abc import Mapping
from http import HTTPStatus

from runyard_service.domain.request_errors import (
    ConflictError,
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    PayloadTooLargeError,
    RequestError,
    TooManyRequestsError,
    UnauthorizedError,
    UnavailableError,
    UnsupportedMediaTypeError,
)

_STATUS: Mapping[type[RequestError], HTTPStatus] = {
    InvalidRequestError: HTTPStatus.BAD_REQUEST,
    UnauthorizedError: HTTPStatus.UNAUTHORIZED,
    ForbiddenError: HTTPStatus.FORBIDDEN,
    NotFoundError: HTTPStatus.NOT_FOUND,
    ConflictError: HTTPStatus.CONFLICT,
    PayloadTooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    UnsupportedMediaTypeError: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    TooManyRequestsError: HTTPStatus.TOO_MANY_REQUESTS,
    UnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
}
_CODES: Mapping[HTTPStatus, str] = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "payload_too_large",
    HTTPStatus.INTERNAL_SERVER_ERROR: "internal_error",
    HTTPStatus.SERVICE_UNAVAILABLE: "unavailable",
}
_PHRASES: Mapping[HTTPStatus, str] = {HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Payload Too Large"}


def error_body(
    error: RequestError, details: Mapping[str, str]
) -> tuple[HTTPStatus, dict[str, object]]:
    """Return status and body for the error."""
    status = _status_of(error)
    return status, status_body(status, details)


def status_body(status: HTTPStatus, details: Mapping[str, str]) -> dict[str, object]:
    """Return `{"error": {code, message, details?}}`, with code and message of the status."""
    error: dict[str, object] = {
        "code": _CODES.get(status, status.name.lower()),
        "message": _PHRASES.get(status, status.phrase),
    }
    if details:
        error["details"] = details
    return {"error": error}


def _status_of(error: RequestError) -> HTTPStatus:
    """Return the status of the error's class, or of its nearest base class in the table."""
    return next(_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)
