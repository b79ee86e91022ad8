"""`AsyncRunyard`: the client for asyncio and trio."""

from types import TracebackType
from typing import Self

from runyard.client.aio.runs import AsyncRuns
from runyard.client.aio.transport import AsyncTransport
from runyard.client.configuration import load_configuration


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
