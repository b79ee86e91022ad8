"""Record the digests of the tools that MCP servers list now, and find what has changed since.

A server may change a tool, or hide instructions to the model in a description, after a person has
reviewed it. `on_change` in `mcp.yaml` says what a run does with a tool that differs.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import yaml

from runyard_service.agents.definitions.loader import MCP_FILE, AgentSet, read_agents
from runyard_service.agents.definitions.mcp_servers import McpServer
from runyard_service.agents.mcp.base import McpEnvironment, ToolList
from runyard_service.agents.mcp.client import list_tools
from runyard_service.agents.mcp.digests import ToolChange, tool_changes, tool_digest
from runyard_service.agents.mcp.pinned_tools import unmatched_patterns
from runyard_service.domain.errors import DefinitionError

_HEADER = """\
# Written by `runyard agents mcp-lock`: the digest of each tool of each MCP server.
# Review what changed before you commit it.
"""


@dataclass(frozen=True)
class ChangedTool:
    """A tool that differs from the lock file. `description` is the new one; empty if removed."""

    server: str
    name: str
    change: ToolChange
    description: str


@dataclass(frozen=True)
class McpLock:
    """The new text of the lock file, and how it differs. `warnings` are for its author."""

    text: str
    changes: tuple[ChangedTool, ...]
    warnings: tuple[str, ...]


def lock_mcp_tools(texts: Mapping[str, str], environment: McpEnvironment) -> McpLock:
    """Return the lock of the servers in the agent files.

    Raise DefinitionError for invalid files, and ToolError if a server's tools cannot be listed.
    """
    agents = read_agents(texts)
    if not agents.mcp_servers:
        raise DefinitionError(f"{MCP_FILE}: defines no server")
    lists = asyncio.run(_list_all(agents.mcp_servers, environment))
    digests = {
        name: {tool.name: tool_digest(tool) for tool in listed.tools}
        for name, listed in lists.items()
    }
    return McpLock(
        text=_HEADER + yaml.safe_dump(digests, allow_unicode=True),
        changes=tuple(_changes(agents.mcp_lock, lists)),
        warnings=(*_dropped_tools(lists), *_unmatched_patterns(agents, lists)),
    )


def _dropped_tools(lists: Mapping[str, ToolList]) -> Iterator[str]:
    for name, listed in lists.items():
        for tool, reason in listed.dropped.items():
            yield f"{name}: the tool {tool!r} is not used: {reason}"


def _unmatched_patterns(agents: AgentSet, lists: Mapping[str, ToolList]) -> Iterator[str]:
    for definition in (
        each for versions in agents.definitions.values() for each in versions.values()
    ):
        for entry in definition.mcp_tools:
            for pattern in unmatched_patterns([entry], lists[entry.server]):
                yield (
                    f"{entry.server}: no tool matches the pattern {pattern!r} of the agent"
                    f" {definition.key}, version {definition.version}"
                )


async def _list_all(
    servers: Mapping[str, McpServer], environment: McpEnvironment
) -> dict[str, ToolList]:
    lists = await asyncio.gather(
        *(list_tools(name, server, environment) for name, server in servers.items())
    )
    return dict(zip(servers, lists, strict=True))


def _changes(
    locked: Mapping[str, Mapping[str, str]], lists: Mapping[str, ToolList]
) -> Iterator[ChangedTool]:
    for server in sorted(locked.keys() | lists.keys()):
        tools = lists[server].tools if server in lists else ()
        descriptions = {tool.name: tool.description for tool in tools}
        for name, change in tool_changes(locked.get(server, {}), tools).items():
            yield ChangedTool(server, name, change, descriptions.get(name, ""))
