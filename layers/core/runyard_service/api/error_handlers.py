"""Which API's shape an answer to a failed request takes: the one under whose path it failed."""

from collections.abc import Mapping
from http import HTTPStatus

from starlette.types import Scope

from runyard_service.api.json_response import JsonResponse
from runyard_service.api.request_ids import trace_id_of
from runyard_service.api.runs import errors as runs_api
from runyard_service.api.threads import errors as threads_api
from runyard_service.api.threads.root_paths import is_threads_path
from runyard_service.domain.errors import RequestError


def refusal(scope: Scope, error: RequestError) -> JsonResponse:
    """The answer to a request that cannot be served."""
    if is_threads_path(scope["path"]):
        return threads_api.problem_of(error, trace_id_of(scope))
    return runs_api.problem_of(error)


def failure(
    scope: Scope,
    status: HTTPStatus,
    details: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JsonResponse:
    """The answer where the fault is ours or the framework's, and all there is is a status."""
    if is_threads_path(scope["path"]):
        return threads_api.problem(status, trace_id_of(scope), details=details, headers=headers)
    return runs_api.problem(status, details, headers)
