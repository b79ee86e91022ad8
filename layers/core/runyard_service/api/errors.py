"""Error responses, in the shape of the API under whose path the request failed."""

from collections.abc import Mapping
from http import HTTPStatus
from itertools import islice

from starlette.types import Scope

from runyard_service.api.http import JsonResponse
from runyard_service.api.middleware.request_ids import trace_id_of
from runyard_service.api.runs import errors as runs_api
from runyard_service.api.threads import errors as threads_api
from runyard_service.api.threads.root_paths import is_threads_path
from runyard_service.domain.request_errors import (
    RequestError,
    TooManyRequestsError,
    UnauthorizedError,
    UnavailableError,
)

_MAX_DETAILS = 100
_MAX_NAME_LENGTH = 200


def error_response(scope: Scope, error: RequestError) -> JsonResponse:
    """Return the response to a request that raised a `RequestError`."""
    details = _truncate_details(error.details)
    if is_threads_path(scope["path"]):
        status, body = threads_api.error_body(error, details, trace_id_of(scope))
    else:
        status, body = runs_api.error_body(error, details)
    return JsonResponse(body, status, headers=_headers_for(error))


def status_response(
    scope: Scope,
    status: HTTPStatus,
    details: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JsonResponse:
    """Return the response to an internal error, or to an error of the framework."""
    details = _truncate_details(details or {})
    if is_threads_path(scope["path"]):
        body = threads_api.status_body(status, details, trace_id_of(scope))
    else:
        body = runs_api.status_body(status, details)
    return JsonResponse(body, status, headers=dict(headers or {}))


def _headers_for(error: RequestError) -> dict[str, str]:
    if isinstance(error, TooManyRequestsError):
        return {"Retry-After": str(error.retry_after)}
    if isinstance(error, UnavailableError):
        return {"Retry-After": "1"}
    if isinstance(error, UnauthorizedError):
        return {"WWW-Authenticate": "Bearer"}
    return {}


def _truncate_details(details: Mapping[str, str]) -> dict[str, str]:
    """Return the first 100 details: a request may have thousands of unknown fields."""
    return {name[:_MAX_NAME_LENGTH]: text for name, text in islice(details.items(), _MAX_DETAILS)}
