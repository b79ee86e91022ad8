"""`Runyard`: the client that blocks."""

from types import TracebackType
from typing import Self

from runyard.client.configuration import load_configuration
from runyard.client.sync.runs import Runs
from runyard.client.sync.transport import Transport


class Runyard:
    """A client of both APIs. Threads can share it.

        with Runyard() as client:
            run = client.runs.create({"ticket_subject": "Charged twice"})

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
        self._transport = Transport(self.configuration)
        self.runs = Runs(self._transport)

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close all connections."""
        self.close()

    def close(self) -> None:
        """Close all connections. Runs continue."""
        self._transport.close()

    def __repr__(self) -> str:
        """Return the URL and the project."""
        return f"Runyard(url={self.configuration.url!r}, project={self.configuration.project!r})"
