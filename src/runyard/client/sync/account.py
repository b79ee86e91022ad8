"""`client.agents`, `.files`, `.input_requests`, `.keys` and `.usage`."""

from collections.abc import Iterator, Sequence

from runyard.client.account_models import Agent, Key, UsageRow
from runyard.client.core import account, runs, uploads
from runyard.client.core.bodies import FileSource
from runyard.client.core.requests import set_fields
from runyard.client.models import InputRequest, StoredFile
from runyard.client.sync.transport import Transport


class InputRequests:
    """The open input requests of all runs of the project."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    def list(self) -> Iterator[InputRequest]:
        """Yield the open input requests, oldest first, each with its `run_id`."""
        return self.transport.iterate(runs.list_input_requests({}))


class Files:
    """The files of the project."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    def upload(self, file: FileSource) -> StoredFile:
        """Store a file of at most 128 MiB: a path, or a name with bytes.

        A file above 4 MiB goes straight to S3. Pass the id as one of `file_ids` to a run.
        """
        return self.transport.run(uploads.upload(file))


class Agents:
    """The agents that a run can use."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    def list(self) -> Iterator[Agent]:
        """Yield the agents that the access key may use."""
        return self.transport.iterate(account.list_agents())

    def get(self, name: str) -> Agent:
        """Return an agent: its newest version, or the version of `name@version`."""
        return self.transport.run(account.get_agent(name))


class Keys:
    """The access keys of the organization. This needs a key of the organization."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    def list(self) -> Iterator[Key]:
        """Yield all keys, without their texts."""
        return self.transport.iterate(account.list_keys())

    def create(
        self,
        *,
        project_id: str | None = None,
        agent: str | None = None,
        scopes: Sequence[str] | None = None,
        days: int | None = None,
        user_id: str | None = None,
        user_name: str | None = None,
        user_email: str | None = None,
    ) -> Key:
        """Create a key, by default for all projects and with the rights of this key.

        The result has the `secret`. After a retry it has none: revoke the key and create another.
        """
        body = set_fields(
            project_id=project_id,
            agent=agent,
            scopes=scopes,
            days=days,
            user_id=user_id,
            user_name=user_name,
            user_email=user_email,
        )
        return self.transport.run(account.create_key(body))

    def revoke(self, key_id: str) -> Key:
        """End a key; return it. Every process notices it within 60 seconds."""
        return self.transport.run(account.revoke_key(key_id))


class Usage:
    """Tokens, costs and numbers of runs."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    def get(
        self, *, from_: str | None = None, to: str | None = None, by: str | None = None
    ) -> list[UsageRow]:
        """Return the usage of the days `from_` to `to` (`YYYY-MM-DD`, UTC), in rows by `by`.

        `by` is `day`, `agent`, `model` or `user`.
        """
        query = set_fields(to=to, by=by) | ({"from": from_} if from_ else {})
        return self.transport.run(account.usage(query))
