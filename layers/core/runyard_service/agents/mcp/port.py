"""The port to MCP servers, as a run uses them; the container binds it to the client."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from runyard_service.agents.definitions.mcp_servers import McpServer
from runyard_service.agents.mcp.base import (
    InputRequired,
    ListedTool,
    Progress,
    ProtocolVersion,
    ToolList,
    ToolResult,
)


class McpPort(Protocol):
    """Requests to MCP servers. Each raises ToolError for a failure."""

    async def list_tools(self, name: str, server: McpServer) -> ToolList:
        """Return the tools of the server."""
        ...

    async def call_tool(
        self,
        name: str,
        server: McpServer,
        tool: ListedTool,
        arguments: Mapping[str, Any],
        *,
        protocol: ProtocolVersion,
        input_responses: Mapping[str, Any] | None = None,
        request_state: str | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        idempotency_key: str = "",
    ) -> ToolResult | InputRequired:
        """Make a call, or continue one with the answers that the server asked for."""
        ...
