"""FastAPI dependencies of the Threads API. Keys may belong to an organization."""

from typing import Annotated

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from runyard_service.adapters.dynamodb.access_keys import AccessKey
from runyard_service.api.auth import PROJECT_REQUIRED, authenticate
from runyard_service.api.dependencies import ServicesDep, path_id
from runyard_service.api.services import Services
from runyard_service.domain.request_errors import InvalidRequestError, ThreadNotFoundError
from runyard_service.domain.threads import Thread


async def reader(request: Request, services: ServicesDep) -> AccessKey:
    """Return a key with the scope `runs:read`."""
    return await authenticate(request, services, "runs:read", needs_project=False)


async def writer(request: Request, services: ServicesDep) -> AccessKey:
    """Return a key with the scope `runs:write`."""
    return await authenticate(request, services, "runs:write", needs_project=False)


ReadKey = Annotated[AccessKey, Depends(reader)]
WriteKey = Annotated[AccessKey, Depends(writer)]
ThreadId = Annotated[str, Depends(path_id("thread_id"))]


def in_project(key: AccessKey, project_id: str) -> AccessKey:
    """Return the key, limited to the project of a record that it has access to."""
    return key.model_copy(update={"project_id": project_id})


def project_of(key: AccessKey) -> str:
    """Return the project for a new thread. Raise InvalidRequestError if none is set."""
    if not key.project_id:
        raise InvalidRequestError(PROJECT_REQUIRED)
    return key.project_id


async def thread_of(services: Services, key: AccessKey, thread_id: str) -> Thread:
    """Return the thread. Raise ThreadNotFoundError if the key has no access."""
    return await run_in_threadpool(found_thread, services, key, thread_id)


def found_thread(
    services: Services, key: AccessKey, thread_id: str, *, include_deleting: bool = False
) -> Thread:
    """Return the thread, with a blocking read. Raise ThreadNotFoundError.

    `include_deleting` includes a thread that was deleted less than a day ago, or whose deletion was
    interrupted.
    """
    threads = services.stores.threads
    thread = threads.get(thread_id, include_deleting=include_deleting) if thread_id else None
    if thread is None or not key.can_access(thread.org_id, thread.project_id):
        raise ThreadNotFoundError
    return thread
