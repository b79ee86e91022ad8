"""Who asks: the bearer of an access key, and what the key may do.

A request is about one project. A project's key need not name it; an organization's key names it in
`X-Project-Id` and is, for this request, that project's key: it sees that project and no other.
Where a route allows it, an organization's key that names none sees all of its projects.
"""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from runyard_service.adapters.dynamodb.access_keys import AccessKey, Scope
from runyard_service.adapters.run_deletion import DeletedRun
from runyard_service.api import tickets
from runyard_service.api.rate_limits import RateLimits
from runyard_service.api.services import Services
from runyard_service.domain.errors import (
    ForbiddenError,
    InvalidRequestError,
    MissingTokenError,
    NotFoundError,
    ProjectNotFoundError,
    UnauthorizedError,
)
from runyard_service.domain.ids import is_id
from runyard_service.domain.runs import Run
from runyard_service.observability import log_context, metrics

PROJECT_HEADER = "X-Project-Id"
PROJECT_REQUIRED = {PROJECT_HEADER: "is required with an organization key"}


async def authenticate(
    request: Request, services: Services, scope: Scope, *, needs_project: bool = True
) -> AccessKey:
    """The caller's key, with the project that the request is about.

    Raises MissingTokenError, UnauthorizedError; TooManyRequestsError where the key asks too fast;
    ForbiddenError without the scope; InvalidRequestError or ProjectNotFoundError where the named
    project is not the key's.
    """
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise MissingTokenError
    access_keys = services.stores.access_keys
    key = access_keys.cached(secret.strip())
    key = key or await run_in_threadpool(access_keys.find, secret.strip())
    if key is None or not key.is_valid():
        _measure_rejected(request, key)
        raise UnauthorizedError
    limits: RateLimits = request.app.state.rate_limits
    limits.acquire(key.id, services.settings.key_requests_per_second)
    if access_keys.should_record_use(key):
        await run_in_threadpool(access_keys.record_use, key)
    if scope not in key.scopes:
        raise ForbiddenError
    return await _in_project(request, services, key, needs_project)


def _measure_rejected(request: Request, key: AccessKey | None) -> None:
    """Never the key itself: its id, where there is such a key, and where the request came from."""
    reason = "unknown" if key is None else "revoked" if key.revoked_at else "expired"
    metrics.record(
        "key rejected",
        {metrics.KEYS_REJECTED: 1},
        reason=reason,
        source=request.client.host if request.client else "",
        key_id=key.id if key else "",
        project_id=key.project_id if key else "",
    )


async def _in_project(
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
    # One answer for "there is none" and "it is somebody else's".
    if not await run_in_threadpool(services.stores.access_keys.is_project_of, named, key.org_id):
        raise ProjectNotFoundError({PROJECT_HEADER: "is not a project of this organization"})
    return key.model_copy(update={"project_id": named})


async def load_run(services: Services, key: AccessKey, run_id: str) -> Run:
    """The run's record, if the key may see it; a stranger does not learn that it exists.

    Who shows its status reads it anew: of a run at work the record may be behind its log.
    """
    run = await _found(services, run_id)
    if not key.can_access(run.org_id, run.project_id):
        raise NotFoundError
    return run


async def load_deletable_run(services: Services, key: AccessKey, run_id: str) -> str:
    """The id of a run that the key may see; also of one whose deletion was interrupted."""
    stores = services.stores

    def found() -> Run | DeletedRun | None:
        return stores.runs.get(run_id) or stores.deleted_runs.find(run_id)

    run = await run_in_threadpool(found) if is_id(run_id) else None
    if run is None or not key.can_access(run.org_id, run.project_id):
        raise NotFoundError
    return run.id


async def run_to_stream(
    request: Request, services: Services, run_id: str, *, needs_project: bool = True
) -> Run:
    """The run whose stream is asked for, by key or by ticket."""
    return await _by_key_or_ticket(request, services, run_id, "stream", needs_project)


async def run_to_export(request: Request, services: Services, run_id: str) -> Run:
    """The run whose export is asked for, by key or by a ticket for just that."""
    return await _by_key_or_ticket(request, services, run_id, "export")


async def _by_key_or_ticket(
    request: Request,
    services: Services,
    run_id: str,
    scope: tickets.Scope,
    needs_project: bool = True,
) -> Run:
    ticket = ticket_of(request)
    if ticket is None:
        key = await authenticate(request, services, "runs:read", needs_project=needs_project)
        return await load_run(services, key, run_id)
    if not await run_in_threadpool(tickets.is_valid, services.ticket_keys, ticket, run_id, scope):
        raise UnauthorizedError
    return await _found(services, run_id)


def ticket_of(request: Request) -> str | None:
    """The ticket that a request comes with, good or not; a key counts more."""
    return None if "authorization" in request.headers else request.query_params.get("ticket")


async def _found(services: Services, run_id: str) -> Run:
    run = await run_in_threadpool(services.stores.runs.get, run_id) if is_id(run_id) else None
    if run is None:
        raise NotFoundError
    log_context.bind(run_id=run.id)
    return run
