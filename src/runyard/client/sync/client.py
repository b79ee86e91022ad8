"""`Runyard`: the client that blocks."""

from types import TracebackType
from typing import Self, TypeVar

from runyard.client.account_models import Me
from runyard.client.configuration import load_configuration
from runyard.client.core import account
from runyard.client.core.effects import Call
from runyard.client.sync.account import Agents, Files, InputRequests, Keys, Usage
from runyard.client.sync.runs import Runs
from runyard.client.sync.threads import Threads
from runyard.client.sync.transport import Transport
from runyard.client.sync.webhooks import Webhooks

T = TypeVar("T")


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
        self.input_requests = InputRequests(self._transport)
        self.threads = Threads(self._transport, self.runs)
        self.files = Files(self._transport)
        self.agents = Agents(self._transport)
        self.webhooks = Webhooks(self._transport)
        self.keys = Keys(self._transport)
        self.usage = Usage(self._transport)

    def me(self) -> Me:
        """Return the access key of this client, and what it may do."""
        return self._transport.run(account.me())

    def perform(self, call: Call[T]) -> T:
        """Perform an operation of `runyard.client.core`."""
        return self._transport.run(call)

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
