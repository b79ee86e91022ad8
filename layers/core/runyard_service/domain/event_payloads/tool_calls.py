"""The `data` of the events about tool calls, and about the tools of MCP servers."""

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired

from typing_extensions import TypedDict

from runyard_service.domain.event_payloads.operations import OperationRef, ToolLabel
from runyard_service.domain.event_payloads.runs import ErrorInfo


class ReturnedFilePayload(TypedDict):
    """A file that a tool returned, which is stored as a file of the project."""

    id: str
    name: str
    mime_type: str
    size: int


class ToolCallPayload(TypedDict):
    """`agent.tool_call.started`. The other events of a tool call have these fields too."""

    id: str
    object: str
    input: Mapping[str, Any]
    iteration: int
    tool: ToolLabel
    op: NotRequired[OperationRef]


class ToolCallCompleted(ToolCallPayload):
    """`agent.tool_call.completed`. `files` are the files that came with the result."""

    result: str
    files: NotRequired[Sequence[ReturnedFilePayload]]


class ToolCallFailed(ToolCallPayload):
    """`agent.tool_call.failed`."""

    error: ErrorInfo


class ToolCallProgress(TypedDict):
    """`agent.tool_call.progress`, as the MCP server reports it."""

    id: str
    progress: float
    total: NotRequired[float]
    message: NotRequired[str]


class ToolCallInputRequired(TypedDict):
    """`agent.tool_call.input_required`: an MCP server asks for input before it makes the call.

    `requests` has what the server sent, by its own keys. `round` counts from 1. `answered` has the
    ids of earlier input requests whose answers are the answers to some of the keys.
    """

    id: str
    round: int
    requests: Mapping[str, Mapping[str, Any]]
    answered: NotRequired[Mapping[str, str]]


# `as` is the model's name of the tool.
ListedToolPayload = TypedDict(
    "ListedToolPayload",
    {
        "name": str,
        "as": str,
        "description": str,
        "parameters": Mapping[str, Any],
        "output_schema": NotRequired[Mapping[str, Any]],
        "annotations": Mapping[str, Any],
    },
)


class ToolsListed(TypedDict):
    """`agent.tools.listed`: the tools of an MCP server that the run uses from now on.

    `reason` says why the list of an optional server is empty. `changes` has the tools that differ
    from the lock file, by the server's own names: `added`, `changed` or `removed`. `unmatched` has
    the patterns of the agent's `include` and `exclude` that match no tool of the server.
    """

    server: str
    protocol: str
    digest: str
    tools: Sequence[ListedToolPayload]
    reason: NotRequired[str]
    changes: NotRequired[Mapping[str, str]]
    unmatched: NotRequired[Sequence[str]]
