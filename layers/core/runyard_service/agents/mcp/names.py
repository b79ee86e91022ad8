"""Names of MCP tools for models: which names a server's tools get, and how many there may be."""

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict

from runyard_service.agents.mcp.base import ListedTool
from runyard_service.agents.tools.base import ToolError

MAX_NAME_CHARACTERS = 64
"""The longest name of a tool that all providers accept."""
MAX_TOOLS = 128
"""OpenAI accepts at most 128 tools in a request."""
MAX_TOOL_BYTES = 256 * 1024
"""Limit of all tools together as JSON, because they are in the log and in each request."""
_HASH_CHARACTERS = 8
# Providers reject all other characters. MCP also allows `.`.
_INVALID = re.compile(r"[^A-Za-z0-9_-]")


def model_tool_name(prefix: str, remote_name: str) -> str:
    """Return the name of a tool for the model: the prefix and the server's own name.

    `_` replaces each character that providers reject. A name over 64 characters is cut and ends
    with 8 hex digits of its SHA-256.
    """
    name = prefix + remote_name
    valid = _INVALID.sub("_", name)
    if len(valid) <= MAX_NAME_CHARACTERS:
        return valid
    digest = hashlib.sha256(name.encode()).hexdigest()[:_HASH_CHARACTERS]
    return f"{valid[: MAX_NAME_CHARACTERS - _HASH_CHARACTERS - 1]}_{digest}"


def name_tools(
    tools: Sequence[ListedTool], prefix: str, taken: Collection[str] = ()
) -> dict[str, ListedTool]:
    """Return the tools by their names for the model.

    Raise ToolError `tools_invalid` if two tools get the same name, or a name in `taken`.
    """
    named: dict[str, ListedTool] = {}
    for tool in tools:
        name = model_tool_name(prefix, tool.name)
        if name in named or name in taken:
            other = f"tool {named[name].name!r}" if name in named else "another tool of the agent"
            message = (
                f"The tool {tool.name!r} gets the name {name!r}, which {other} also has."
                " Set another `prefix`, or list one of them under `exclude`."
            )
            raise ToolError("tools_invalid", message)
        named[name] = tool
    return named


def check_tool_limits(tools: Iterable[ListedTool]) -> None:
    """Check the number and the size of all MCP tools of a run.

    Raise ToolError `tools_invalid` for more than 128 tools, or more than 256 KB.
    """
    sizes = [len(json.dumps(asdict(tool), ensure_ascii=False).encode()) for tool in tools]
    found = (
        f"{len(sizes)} tools; at most {MAX_TOOLS} are allowed"
        if len(sizes) > MAX_TOOLS
        else f"{sum(sizes)} bytes of tools; at most {MAX_TOOL_BYTES} are allowed"
    )
    if len(sizes) > MAX_TOOLS or sum(sizes) > MAX_TOOL_BYTES:
        message = f"The MCP servers list {found}. Select fewer tools with `include`."
        raise ToolError("tools_invalid", message)
