"""Authenticate callers by access key or ticket, and authorize their requests.

A request is about one project. A project key implies it. An organization key names it in
`X-Project-Id`, and then has access to that project only. Some routes accept an organization key
without this header: the key then has access to all projects of the organization.
"""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from runyard_service.adapters.dynamodb.access_keys import AccessKey, Scope
from runyard_service.adapters.run_deletion import DeletedRun
from runyard_service.api import tickets
from runyard_service.api.rate_limits import RateLimits
from runyard_service.api.services import Services
from runyard_service.domain.request_errors import (
    ForbiddenError,
    InvalidRequestError,
    MissingTokenError,
    NotFoundError,
    ProjectNotFoundError,
    TooManyRequestsError,
    UnauthorizedError,
)
from runyard_service.domain.runs import Run
from runyard_service.observability import log_context, metrics

PROJECT_HEADER = "X-Project-Id"
PROJECT_REQUIRED = {PROJECT_HEADER: "is required with an organization key"}


async def authenticate(
    request: Request, services: Services, scope: Scope | None, *, needs_project: bool = True
) -> AccessKey:
    """Return the caller's key, limited to the project of the request.

    Raise the errors of `_authenticate`. Raise InvalidRequestError or ProjectNotFoundError if the
    key has no access to the project in `X-Project-Id`.
    """
    key = await _authenticate(request, services, scope)
    return await _select_project(request, services, key, needs_project)


async def authenticate_organization(
    request: Request, services: Services, scope: Scope
) -> AccessKey:
    """Return the caller's key, limited to the project in `X-Project-Id`, if there is one.

    Raise the errors of `authenticate`, and ForbiddenError for the key of a project.
    """
    key = await _authenticate(request, services, scope)
    if not key.is_org_key:
        raise ForbiddenError({"key": "must be the key of an organization, not of a project"})
    return await _select_project(request, services, key, needs_project=False)


async def _authenticate(request: Request, services: Services, scope: Scope | None) -> AccessKey:
    """Return the caller's key, which has the scope.

    Raise MissingTokenError or UnauthorizedError for a missing or invalid key, TooManyRequestsError
    above the rate limit, and ForbiddenError if the key lacks `scope`, if any.
    """
    access_keys = services.stores.access_keys
    key = await _find_key(request, services)
    if key is None or not key.is_valid():
        _record_rejection(request, key)
        _limit_source(request, services, tokens=1)
        raise UnauthorizedError({"authorization": "has a key that is unknown, expired or revoked"})
    limits: RateLimits = request.app.state.rate_limits
    limits.acquire(key.id, services.settings.key_requests_per_second)
    if access_keys.should_record_use(key):
        await run_in_threadpool(access_keys.record_use, key)
    if scope:
        check_scope(key, scope)
    return key


async def has_valid_key(request: Request, services: Services) -> bool:
    """Return True if the request has a valid access key, whatever its scopes."""
    try:
        key = await _find_key(request, services)
    except (MissingTokenError, TooManyRequestsError):
        return False
    return key is not None and key.is_valid()


async def _find_key(request: Request, services: Services) -> AccessKey | None:
    """Return the key of the request, also an expired one. Raise MissingTokenError without one."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    secret = text.strip()
    if scheme.lower() != "bearer" or not secret:
        raise MissingTokenError({"authorization": "must be Bearer and an access key"})
    access_keys = services.stores.access_keys
    if (key := access_keys.cached(secret)) is not None:
        return key
    _limit_source(request, services, tokens=0)
    return await run_in_threadpool(access_keys.find, secret)


def _limit_source(request: Request, services: Services, *, tokens: int) -> None:
    """Take tokens of the source's limit. Raise TooManyRequestsError if it has none left."""
    source = request.client.host if request.client else ""
    limits: RateLimits = request.app.state.rate_limits
    rate = services.settings.source_rejections_per_second
    limits.acquire(f"source {source}", rate, tokens=tokens)


def check_scope(key: AccessKey, scope: Scope) -> None:
    """Raise ForbiddenError, which names the scope, if the key lacks it."""
    if not key.has_scope(scope):
        raise ForbiddenError({"scope": f"the access key must have {scope}"})


def check_agent(key: AccessKey, agent: str | None, field: str) -> None:
    """Raise ForbiddenError if the request names an agent in `field` that the key may not use."""
    if agent and not key.may_use(agent):
        raise ForbiddenError({field: f"must be {key.agent}, the agent of the access key"})


def _record_rejection(request: Request, key: AccessKey | None) -> None:
    """Record the rejection with the key id, if known, and the source address; never the key."""
    reason = "unknown" if key is None else "revoked" if key.revoked_at else "expired"
    metrics.record(
        "key rejected",
        {metrics.KEYS_REJECTED: 1},
        reason=reason,
        source=request.client.host if request.client else "",
        key_id=key.id if key else "",
        project_id=key.project_id if key else "",
    )


async def _select_project(
    request: Request, services: Services, key: AccessKey, needs_project: bool
) -> AccessKey:
    named = request.headers.get(PROJECT_HEADER, "").strip()
    if not key.is_org_key:
        if named not in ("", key.project_id):
            raise InvalidRequestError({PROJECT_HEADER: "must be the project of the access key"})
        return key
    if not named and needs_project:
        raise InvalidRequestError(PROJECT_REQUIRED)
    if not named:
        return key
    # The same response for an unknown project and for a project of another organization.
    if not await run_in_threadpool(services.stores.access_keys.is_project_of, named, key.org_id):
        raise ProjectNotFoundError({PROJECT_HEADER: "is not a project of this organization"})
    return key.model_copy(update={"project_id": named})


def projects_of(services: Services, key: AccessKey) -> list[str]:
    """Return the projects that the key has access to. Only an organization key needs a read."""
    if key.project_id:
        return [key.project_id]
    return services.stores.access_keys.projects_of(key.org_id)


async def load_run(services: Services, key: AccessKey, run_id: str) -> Run:
    """Return the run's record. Raise NotFoundError if it is missing or the key has no access.

    The record of an active run may be older than its log. Callers that return the status read the
    run again.
    """
    return await _find_run(services, run_id, key)


async def load_deletable_run(services: Services, key: AccessKey, run_id: str) -> str:
    """Return the id of a run, also if its deletion was interrupted. Raise NotFoundError."""
    stores = services.stores

    def find() -> Run | DeletedRun | None:
        found = stores.runs.get(run_id, key.can_access)
        return found or stores.deleted_runs.find(run_id)

    run = await run_in_threadpool(find) if run_id else None
    if run is None or not key.can_access(run.org_id, run.project_id):
        raise NotFoundError
    return run.id


async def run_to_stream(
    request: Request, services: Services, run_id: str, *, needs_project: bool = True
) -> Run:
    """Return the run to stream, authorized by access key or by ticket."""
    return await _authorize_run(request, services, run_id, "stream", needs_project)


async def run_to_read(request: Request, services: Services, run_id: str) -> Run:
    """Return the run to read, authorized by access key or by a ticket of a redirect."""
    return await _authorize_run(request, services, run_id, "run")


async def run_to_export(request: Request, services: Services, run_id: str) -> Run:
    """Return the run to export, authorized by access key or by an export ticket."""
    return await _authorize_run(request, services, run_id, "export")


async def _authorize_run(
    request: Request,
    services: Services,
    run_id: str,
    scope: tickets.Scope,
    needs_project: bool = True,
) -> Run:
    ticket = ticket_of(request)
    if ticket is None:
        key = await authenticate(request, services, "runs:read", needs_project=needs_project)
        request.state.stream_owner = key.id
        return await load_run(services, key, run_id)
    _limit_source(request, services, tokens=0)
    request.state.stream_owner = f"run {run_id}"
    if not await run_in_threadpool(tickets.is_valid, services.ticket_keys, ticket, run_id, scope):
        _limit_source(request, services, tokens=1)
        raise UnauthorizedError
    return await _find_run(services, run_id)


def ticket_of(request: Request) -> str | None:
    """Return the unverified ticket of the request, or None if the request has a key."""
    return None if "authorization" in request.headers else request.query_params.get("ticket")


async def _find_run(services: Services, run_id: str, key: AccessKey | None = None) -> Run:
    """Return the run. Raise NotFoundError if it is missing or the key, if any, has no access."""
    can_access = key.can_access if key else None
    run = await run_in_threadpool(services.stores.runs.get, run_id, can_access) if run_id else None
    if run is None:
        raise NotFoundError
    log_context.bind(run_id=run.id)
    return run
