"""What an MCP server says, in types that do not depend on the era of the protocol.

`client.py` speaks the protocol. Nothing here imports an HTTP client, so it costs no cold start.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

ProtocolVersion = Literal["2026-07-28", "2025-11-25"]


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
    """The end of a call: what the model is told, and the files that came with it.

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
