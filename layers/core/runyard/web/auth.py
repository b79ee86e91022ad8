"""Who asks: the bearer of an access key, and what the key may do."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from runyard.bootstrap import Services
from runyard.domain.errors import ForbiddenError, NotFoundError, UnauthorizedError
from runyard.domain.ids import is_id
from runyard.domain.runs import Run
from runyard.store.access_keys import AccessKey, Scope
from runyard.web import tickets


async def authorized(request: Request, services: Services, scope: Scope) -> AccessKey:
    """The caller's key. Raises UnauthorizedError, or ForbiddenError without the scope."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise UnauthorizedError
    key = await run_in_threadpool(services.stores.access_keys.find, secret.strip())
    if key is None or not key.is_valid():
        raise UnauthorizedError
    if scope not in key.scopes:
        raise ForbiddenError
    return key


async def run_of(services: Services, key: AccessKey, run_id: str) -> Run:
    """The run, if it belongs to the key's project; a stranger does not learn that it exists."""
    run = await _found(services, run_id)
    if run.project_id != key.project_id:
        raise NotFoundError
    return run


async def run_to_stream(request: Request, services: Services, run_id: str) -> Run:
    """The run whose stream is asked for, by key or by ticket."""
    ticket = request.query_params.get("ticket")
    if ticket is None or "authorization" in request.headers:
        key = await authorized(request, services, "runs:read")
        return await run_of(services, key, run_id)
    secret = await run_in_threadpool(services.ticket_secret)
    if not tickets.is_good(secret, ticket, run_id):
        raise UnauthorizedError
    return await _found(services, run_id)


async def _found(services: Services, run_id: str) -> Run:
    run = await run_in_threadpool(services.stores.runs.get, run_id) if is_id(run_id) else None
    if run is None:
        raise NotFoundError
    return run
