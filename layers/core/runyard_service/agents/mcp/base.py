"""What an MCP server says, in types that do not depend on the era of the protocol.

`client.py` speaks the protocol. Nothing here imports an HTTP client, so it costs no cold start.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Literal

from runyard_service.outbound.circuit_breaker import CircuitBreakers

ProtocolVersion = Literal["2026-07-28", "2025-11-25"]
# The most time to list the tools of a server.
LIST_SECONDS = 10.0


@dataclass(frozen=True)
class ListedTool:
    """One tool of a server, under the name that the server uses.

    `parameters` and `output_schema` are JSON Schemas; `annotations` are the server's own hints.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    output_schema: Mapping[str, Any] | None = None
    annotations: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ToolList:
    """The tools of a server, in its own order. `dropped` has the reason for each unusable tool.

    `ttl_seconds` is how long the server allows the list to be cached; `is_public` means that the
    list is the same for every identity.
    """

    protocol: ProtocolVersion
    tools: Sequence[ListedTool]
    dropped: Mapping[str, str] = field(default_factory=dict)
    ttl_seconds: float = 0
    is_public: bool = False


@dataclass(frozen=True)
class ReturnedFile:
    """An image, a sound or another blob in a result."""

    name: str
    mime_type: str
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class ToolResult:
    """The end of a call: what the model receives, and the files that came with it.

    `content` is the structured content as JSON if there is any, else the texts of the result.
    """

    content: str
    files: Sequence[ReturnedFile] = ()


@dataclass(frozen=True)
class InputRequired:
    """The server needs answers of a person before it makes the call.

    `requests` are elicitations by the server's own keys: `params` as the server sent them
    (`message`, and `requestedSchema` or `url`). `request_state` is opaque and belongs to the
    server; it goes back with the answers.
    """

    requests: Mapping[str, Mapping[str, Any]]
    request_state: str | None = None


@dataclass(frozen=True)
class Progress:
    """The progress of a call, as the server reports it."""

    progress: float
    total: float | None = None
    message: str | None = None


# The classes that follow are no dataclasses where plain ones do: each dataclass takes a third
# of a millisecond of every cold start.
class Session:
    """A session of the version 2025-11-25; `id` is None if the server needs none."""

    def __init__(self, session_id: str | None, version: str) -> None:
        self.id = session_id
        self.version = version


class AccessToken:
    """A token of an authorization server; `expires_at` is in seconds since the epoch."""

    def __init__(self, value: str, expires_at: float) -> None:
        self.value = value
        self.expires_at = expires_at


class McpCache:
    """What a process knows of its MCP servers. Keys include the identity that the server sees.

    `lists` has the tool lists with the times at which they expire, in seconds since the epoch.
    """

    def __init__(self) -> None:
        self.lists: dict[str, tuple[float, ToolList]] = {}
        self.protocols: dict[str, ProtocolVersion] = {}
        self.sessions: dict[str, Session] = {}
        self.tokens: dict[str, AccessToken] = {}
        self.request_ids = count(1)


_PROCESS_CACHE = McpCache()


@dataclass(frozen=True)
class McpEnvironment:
    """The configuration of an installation for its MCP servers.

    `variables` are the values of `${NAME}`; `private_hosts` are the `host:port` that may be reached
    though their address is private. `read_secret` returns the text of a secret by its name.
    `clock` returns seconds since the epoch. All environments of a process share `cache`.
    """

    variables: Mapping[str, str]
    private_hosts: tuple[str, ...]
    circuits: CircuitBreakers
    read_secret: Callable[[str], str]
    cache: McpCache = field(default_factory=lambda: _PROCESS_CACHE)
    clock: Callable[[], float] = time.time
