"""`Runyard`: the client that blocks."""

from types import TracebackType
from typing import Self, TypeVar

from runyard.client.account_models import Me
from runyard.client.aio.account import (
    AsyncAgents,
    AsyncFiles,
    AsyncInputRequests,
    AsyncKeys,
    AsyncUsage,
)
from runyard.client.aio.runs import AsyncRuns
from runyard.client.aio.threads import AsyncThreads
from runyard.client.aio.transport import AsyncTransport
from runyard.client.aio.webhooks import AsyncWebhooks
from runyard.client.configuration import load_configuration
from runyard.client.core import account
from runyard.client.core.effects import Call

T = TypeVar("T")


class AsyncRunyard:
    """A client of both APIs. It is for one event loop.

        async with AsyncRunyard() as client:
            run = await client.runs.create({"ticket_subject": "Charged twice"})

    Without arguments, the URL, the access key and the project are those of the environment, of a
    profile, or of the local stack in this folder; see `load_configuration`. `project` is needed
    with a key of an organization.
    """

    def __init__(
        self,
        *,
        url: str | None = None,
        access_key: str | None = None,
        project: str | None = None,
        profile: str | None = None,
    ) -> None:
        self.configuration = load_configuration(
            url=url, access_key=access_key, project=project, profile=profile
        )
        self._transport = AsyncTransport(self.configuration)
        self.runs = AsyncRuns(self._transport)
        self.input_requests = AsyncInputRequests(self._transport)
        self.threads = AsyncThreads(self._transport, self.runs)
        self.files = AsyncFiles(self._transport)
        self.agents = AsyncAgents(self._transport)
        self.webhooks = AsyncWebhooks(self._transport)
        self.keys = AsyncKeys(self._transport)
        self.usage = AsyncUsage(self._transport)

    async def me(self) -> Me:
        """Return the access key of this client, and what it may do."""
        return await self._transport.run(account.me())

    async def perform(self, call: Call[T]) -> T:
        """Perform an operation of `runyard.client.core`."""
        return await self._transport.run(call)

    async def __aenter__(self) -> Self:
        """Return the client."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close all connections."""
        await self.close()

    async def close(self) -> None:
        """Close all connections. Runs continue."""
        await self._transport.close()

    def __repr__(self) -> str:
        """Return the URL and the project."""
        return (
            f"AsyncRunyard(url={self.configuration.url!r}, project={self.configuration.project!r})"
        )
