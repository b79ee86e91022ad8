"""Which API's shape an answer to a failed request takes: the one under whose path it failed."""

from collections.abc import Mapping
from http import HTTPStatus

from starlette.types import Scope

from runyard.domain.errors import RequestError
from runyard.web.json_response import JsonResponse
from runyard.web.request_ids import trace_id_of
from runyard.web.runs_api import problems as runs_api
from runyard.web.threads_api import problems as threads_api
from runyard.web.threads_api.at_root import is_threads_path


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
