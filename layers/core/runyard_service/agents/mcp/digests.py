"""Digests of MCP tools: find tools that changed after `runyard agents mcp-lock` recorded them.

A server can change what a tool does, or hide instructions to the model in a description. The lock
file has, for each server, the SHA-256 of each tool by the server's own name.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Literal

from runyard_service.agents.mcp.base import ListedTool

LOCK_FILE = "mcp.lock.yaml"

ToolChange = Literal["added", "changed", "removed"]


def tool_digest(tool: ListedTool) -> str:
    """Return the SHA-256 of the tool in hex.

    It covers the canonical JSON of name, description, parameters, output schema and annotations.
    """
    content = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
        "output_schema": tool.output_schema,
        "annotations": tool.annotations,
    }
    return hashlib.sha256(_canonical_json(content).encode()).hexdigest()


def tool_changes(locked: Mapping[str, str], tools: Iterable[ListedTool]) -> dict[str, ToolChange]:
    """Return the tools that differ from their locked digests, by the server's own name."""
    listed = {tool.name: tool_digest(tool) for tool in tools}
    changes: dict[str, ToolChange] = {}
    for name in sorted(locked.keys() | listed.keys()):
        if name not in locked:
            changes[name] = "added"
        elif name not in listed:
            changes[name] = "removed"
        elif locked[name] != listed[name]:
            changes[name] = "changed"
    return changes


def _canonical_json(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
