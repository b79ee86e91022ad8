"""Read the list of a server's tools, page by page."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from runyard_service.agents.mcp.base import ListedTool, ProtocolVersion, ToolList
from runyard_service.agents.mcp.connection import Connection, Message
from runyard_service.agents.mcp.tool_schemas import UnusableToolError, checked_tool
from runyard_service.agents.tools.base import ToolError

# An agent selects at most 128 tools of 256 KB from these.
MAX_LISTED_TOOLS = 1_000
MAX_PAGE_BYTES = 2 * 1024 * 1024
MAX_PAGES = 50

Request = Callable[..., Awaitable[Message]]


async def fetch_tools(
    connection: Connection, protocol: ProtocolVersion, request: Request
) -> ToolList:
    """Return all tools of the server; `request` sends a request in the server's era.

    Raise ToolError: `tools_invalid` for a list without an end, or `mcp_error`.
    """
    tools: dict[str, ListedTool] = {}
    dropped: dict[str, str] = {}
    pages: list[Message] = []
    cursor: object = None
    while not pages or cursor:
        params: Mapping[str, Any] = {"cursor": cursor} if cursor else {}
        page = await request(connection, "tools/list", params, _ignore, max_bytes=MAX_PAGE_BYTES)
        pages.append(page)
        listed = page.get("tools")
        if not isinstance(listed, list):
            raise ToolError("mcp_error", "The response to tools/list has no list of tools.")
        for fields in listed:
            _add(fields, tools, dropped)
        cursor = page.get("nextCursor")
        if len(pages) >= MAX_PAGES or len(tools) + len(dropped) > MAX_LISTED_TOOLS:
            message = f"The server lists over {MAX_LISTED_TOOLS} tools or {MAX_PAGES} pages."
            raise ToolError("tools_invalid", message)
    return ToolList(
        protocol=protocol,
        tools=tuple(tools.values()),
        dropped=dropped,
        ttl_seconds=min(map(_ttl_seconds, pages)),
        is_public=all(page.get("cacheScope") == "public" for page in pages),
    )


def _add(fields: object, tools: dict[str, ListedTool], dropped: dict[str, str]) -> None:
    """Add a tool of the list, or the reason why it is dropped."""
    if not isinstance(fields, Mapping):
        raise ToolError("mcp_error", "The response to tools/list has a tool that is no object.")
    name = str(fields.get("name", ""))[:128]
    if name in tools:
        dropped[name] = "the server lists it twice"
        return
    try:
        tools[name] = checked_tool(fields)
    except UnusableToolError as error:
        dropped[name] = str(error)


def _ttl_seconds(page: Message) -> float:
    milliseconds = page.get("ttlMs")
    return max(0.0, milliseconds / 1000) if isinstance(milliseconds, int | float) else 0.0


async def _ignore(message: Message) -> None:
    """Ignore notifications while tools are listed."""
