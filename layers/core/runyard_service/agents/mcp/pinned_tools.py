"""The tools of MCP servers that a run pins: selected and named once, then read from its log.

A run lists its servers before the first response of the model. From then on its
`agent.tools.listed` events are the list, whatever the servers say later.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from runyard_service.agents.definitions.human_tools import ApprovalRule
from runyard_service.agents.definitions.models import OUTPUT_TOOL, AgentDefinition, Snapshot
from runyard_service.agents.definitions.tools import Effect, McpOverride, McpTool, PinnedMcpTool
from runyard_service.agents.mcp.base import ListedTool, ToolList
from runyard_service.agents.mcp.digests import tool_changes
from runyard_service.agents.mcp.names import MAX_TOOL_BYTES, MAX_TOOLS, model_tool_name
from runyard_service.domain.errors import ToolsInvalidError
from runyard_service.domain.event_payloads.tool_calls import ListedToolPayload, ToolsListed
from runyard_service.domain.events import to_json


def missing_servers(snapshot: Snapshot, lists: Mapping[str, ToolsListed]) -> list[str]:
    """Return the names of the agent's servers that the run has not listed."""
    return [name for name in snapshot.mcp_servers if name not in lists]


def tools_listed(snapshot: Snapshot, server: str, listed: ToolList) -> ToolsListed:
    """Return the event of a server's list, with the tools that the agent uses."""
    entries = [entry for entry in snapshot.definition.mcp_tools if entry.server == server]
    tools = [
        _payload(_name_of(entry, tool.name), tool)
        for entry in entries
        for tool in listed.tools
        if entry.selects(tool.name)
    ]
    digest = hashlib.sha256(to_json(tools)).hexdigest()
    event: ToolsListed = {
        "server": server,
        "protocol": listed.protocol,
        "digest": digest,
        "tools": tools,
    }
    if changes := _changes(snapshot, server, listed):
        event["changes"] = changes
    if unmatched := unmatched_patterns(entries, listed):
        event["unmatched"] = unmatched
    return event


def unmatched_patterns(entries: Iterable[McpTool], listed: ToolList) -> list[str]:
    """Return the patterns of these entries that match no tool of their server: likely a mistake."""
    names = [*(tool.name for tool in listed.tools), *listed.dropped]
    return list(
        dict.fromkeys(pattern for entry in entries for pattern in entry.unmatched_patterns(names))
    )


def _changes(snapshot: Snapshot, server: str, listed: ToolList) -> Mapping[str, str]:
    """Return the used tools that differ from the lock file, if the server's `on_change` asks."""
    if snapshot.mcp_servers[server].on_change == "allow":
        return {}
    entries = [entry for entry in snapshot.definition.mcp_tools if entry.server == server]
    changes = tool_changes(snapshot.mcp_lock.get(server, {}), listed.tools)
    return {
        name: change
        for name, change in changes.items()
        if any(entry.selects(name) for entry in entries)
    }


def changed_tools(
    snapshot: Snapshot, lists: Mapping[str, ToolsListed], on_change: str
) -> Mapping[str, Mapping[str, str]]:
    """Return the changes of each server with this `on_change`; empty if there are none."""
    return {
        name: listed["changes"]
        for name, listed in lists.items()
        if "changes" in listed and snapshot.mcp_servers[name].on_change == on_change
    }


def describe_changes(changes: Mapping[str, Mapping[str, str]]) -> str:
    """Return the changes in words, such as `'crm': search (changed), open (added)`."""
    return "; ".join(
        f"{server!r}: {', '.join(f'{name} ({change})' for name, change in tools.items())}"
        for server, tools in changes.items()
    )


def nothing_listed(server: str, reason: str) -> ToolsListed:
    """Return the event of an optional server that did not answer."""
    digest = hashlib.sha256(to_json([])).hexdigest()
    return {"server": server, "protocol": "", "digest": digest, "tools": [], "reason": reason}


def check_lists(definition: AgentDefinition, lists: Sequence[ToolsListed]) -> None:
    """Raise ToolsInvalidError if the model cannot be given all these tools."""
    owners = dict.fromkeys((OUTPUT_TOOL, *(tool.name for tool in definition.callable_tools)), "")
    for listed in lists:
        for tool in listed["tools"]:
            if tool["as"] in owners:
                raise ToolsInvalidError(_collision(owners[tool["as"]], listed, tool))
            owners[tool["as"]] = _described(listed, tool)
    if len(owners) - 1 > MAX_TOOLS:
        raise ToolsInvalidError(
            f"the agent has {len(owners) - 1} tools with those of its MCP servers, and may have"
            f" {MAX_TOOLS}; list fewer in `include`"
        )
    size = len(to_json([listed["tools"] for listed in lists]))
    if size > MAX_TOOL_BYTES:
        raise ToolsInvalidError(
            f"the tools of the MCP servers take {size} bytes as JSON, and may take"
            f" {MAX_TOOL_BYTES}; list fewer in `include`"
        )


def effective_definition(snapshot: Snapshot, lists: Mapping[str, ToolsListed]) -> AgentDefinition:
    """Return the run's definition with the tools that it has listed."""
    definition = snapshot.definition
    if not lists:
        return definition
    pinned = [
        _pinned(snapshot, entry, listed, tool)
        for entry in definition.mcp_tools
        if (listed := lists.get(entry.server))
        for tool in listed["tools"]
        if entry.selects(tool["name"]) and _name_of(entry, tool["name"]) == tool["as"]
    ]
    return definition.with_pinned_tools(pinned)


def _pinned(
    snapshot: Snapshot, entry: McpTool, listed: ToolsListed, tool: ListedToolPayload
) -> PinnedMcpTool:
    own = entry.overrides.get(tool["name"], McpOverride())
    annotations = tool["annotations"]
    return PinnedMcpTool(
        name=tool["as"],
        server=entry.server,
        protocol="2025-11-25" if listed["protocol"] == "2025-11-25" else "2026-07-28",
        listed=ListedTool(
            name=tool["name"],
            description=tool["description"],
            parameters=tool["parameters"],
            output_schema=tool.get("output_schema"),
            annotations=annotations,
        ),
        effect=_effect(own.effect or entry.effect, annotations),
        approval=_approval(entry, own, annotations),
        timeout=own.timeout or snapshot.mcp_servers[entry.server].timeout,
    )


def _effect(effect: str, annotations: Mapping[str, Any]) -> Effect:
    match effect:
        case "none" | "idempotent" | "unsafe":
            return effect
    # Only the value true is a hint: anything else is the more careful choice.
    if annotations.get("readOnlyHint") is True:
        return "none"
    return "idempotent" if annotations.get("idempotentHint") is True else "unsafe"


def _approval(
    entry: McpTool, own: McpOverride, annotations: Mapping[str, Any]
) -> ApprovalRule | None:
    approval = own.approval if "approval" in own.model_fields_set else entry.approval
    if approval != "hints":
        return approval
    return None if annotations.get("readOnlyHint") is True else ApprovalRule()


def _name_of(entry: McpTool, tool: str) -> str:
    return model_tool_name(entry.name_prefix, tool)


def _payload(name: str, tool: ListedTool) -> ListedToolPayload:
    payload: ListedToolPayload = {
        "name": tool.name,
        "as": name,
        "description": tool.description,
        "parameters": tool.parameters,
        "annotations": tool.annotations,
    }
    if tool.output_schema is not None:
        payload["output_schema"] = tool.output_schema
    return payload


def _described(listed: ToolsListed, tool: ListedToolPayload) -> str:
    return f"the tool {tool['name']!r} of the MCP server {listed['server']!r}"


def _collision(owner: str, listed: ToolsListed, tool: ListedToolPayload) -> str:
    other = owner or "another tool of the agent"
    return (
        f"{_described(listed, tool)} and {other} are both named {tool['as']!r};"
        " set another `prefix`, or list it in `exclude`"
    )
