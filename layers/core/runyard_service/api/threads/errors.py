"""Error bodies of the Threads API: a table from error class to status, code and message.

The body is flat: `{code, message, trace_id, details?}`. `details` are always our messages.
"""

from collections.abc import Mapping
from http import HTTPStatus

from runyard_service.domain import request_errors as errors
from runyard_service.domain.request_errors import RequestError

_ERRORS: Mapping[type[RequestError], tuple[HTTPStatus, str, str]] = {
    errors.InvalidRequestError: (
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "validation.error",
        "Invalid request.",
    ),
    errors.MissingTokenError: (
        HTTPStatus.UNAUTHORIZED,
        "auth.missing_token",
        "Access key required.",
    ),
    errors.UnauthorizedError: (
        HTTPStatus.UNAUTHORIZED,
        "auth.invalid_token",
        "Invalid access key.",
    ),
    errors.ForbiddenError: (
        HTTPStatus.FORBIDDEN,
        "auth.forbidden",
        "The access key does not allow this request.",
    ),
    errors.NotFoundError: (HTTPStatus.NOT_FOUND, "runs.not_found", "Run not found."),
    errors.ThreadNotFoundError: (
        HTTPStatus.NOT_FOUND,
        "threads.not_found",
        "Thread not found.",
    ),
    errors.ProjectNotFoundError: (
        HTTPStatus.NOT_FOUND,
        "projects.not_found",
        "Project not found.",
    ),
    errors.ThreadBusyError: (
        HTTPStatus.CONFLICT,
        "runs.thread_busy",
        "The thread has an active run.",
    ),
    errors.RunNotActiveError: (
        HTTPStatus.CONFLICT,
        "runs.not_active",
        "The run is not waiting for this input.",
    ),
    errors.InputAmbiguousError: (
        HTTPStatus.CONFLICT,
        "runs.input_ambiguous",
        "The run has several open input requests; set request_id.",
    ),
    errors.ConflictError: (
        HTTPStatus.CONFLICT,
        "requests.conflict",
        "The request conflicts with the current state.",
    ),
    errors.ResponseTooLargeError: (
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "responses.too_large",
        "Response too large for this endpoint.",
    ),
    errors.PayloadTooLargeError: (
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "requests.too_large",
        "Request body too large.",
    ),
    errors.UnsupportedMediaTypeError: (
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "requests.unsupported_media_type",
        "Unsupported Content-Type.",
    ),
    errors.RunLimitError: (
        HTTPStatus.TOO_MANY_REQUESTS,
        "runs.limit_exceeded",
        "Too many active runs.",
    ),
    errors.TooManyRequestsError: (
        HTTPStatus.TOO_MANY_REQUESTS,
        "requests.rate_limited",
        "Rate limit exceeded.",
    ),
    errors.UnavailableError: (
        HTTPStatus.SERVICE_UNAVAILABLE,
        "internal.unavailable",
        "Service unavailable; retry.",
    ),
}
# Used if only a status is known.
_STATUS_ERRORS: Mapping[HTTPStatus, tuple[str, str]] = {
    HTTPStatus.NOT_FOUND: ("requests.no_such_route", "Route not found."),
    HTTPStatus.METHOD_NOT_ALLOWED: (
        "requests.method_not_allowed",
        "Method not allowed.",
    ),
    HTTPStatus.MISDIRECTED_REQUEST: (
        "requests.misdirected",
        "This endpoint only streams, creates and reads.",
    ),
    HTTPStatus.SERVICE_UNAVAILABLE: _ERRORS[errors.UnavailableError][1:],
}
_INTERNAL = ("internal.error", "Internal error.")


def error_body(
    error: RequestError, details: Mapping[str, str], trace_id: str
) -> tuple[HTTPStatus, dict[str, object]]:
    """Return status and body for the error."""
    kind = next(kind for kind in type(error).__mro__ if kind in _ERRORS)
    status, code, message = _ERRORS[kind]
    return status, _body(code, message, details, trace_id)


def status_body(status: HTTPStatus, details: Mapping[str, str], trace_id: str) -> dict[str, object]:
    """Return the body when only a status is known."""
    code, message = _STATUS_ERRORS.get(status, _INTERNAL)
    return _body(code, message, details, trace_id)


def _body(code: str, message: str, details: Mapping[str, str], trace_id: str) -> dict[str, object]:
    body: dict[str, object] = {"code": code, "message": message, "trace_id": trace_id}
    if details:
        body["details"] = details
    return body
