"""What a route is given: the services of this process, and the key of whoever asks."""

from typing import Annotated

from fastapi import Depends, Request

from runyard import bootstrap
from runyard.bootstrap import Services
from runyard.domain.errors import ForbiddenError
from runyard.store.access_keys import AccessKey
from runyard.web.auth import authorized


def _services(request: Request) -> Services:
    return request.app.state.services or bootstrap.services()


async def _reader(request: Request, services: "Uses") -> AccessKey:
    return await authorized(request, services, "runs:read")


async def _writer(request: Request, services: "Uses") -> AccessKey:
    return await authorized(request, services, "runs:write")


async def deleting_door(services: "Uses") -> None:
    """Raises ForbiddenError where this door's own role may delete nothing."""
    if not services.settings.can_delete:
        raise ForbiddenError({"door": "deletes nothing; ask at the API's own address"})


Uses = Annotated[Services, Depends(_services)]
Reader = Annotated[AccessKey, Depends(_reader)]
Writer = Annotated[AccessKey, Depends(_writer)]
