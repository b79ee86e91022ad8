"""Use the MCP client in tests: an environment of its own, and calls outside an event loop."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from runyard_service.agents.definitions.mcp_servers import McpServer
from runyard_service.agents.mcp.base import (
    InputRequired,
    ListedTool,
    McpCache,
    McpEnvironment,
    Progress,
    ProtocolVersion,
    ToolList,
    ToolResult,
)
from runyard_service.agents.mcp.client import call_tool, list_tools
from runyard_service.outbound.circuit_breaker import CircuitBreakers

SECRETS = {"peer-token": "token-of-the-peer", "peer-secret": "s3cret:/+"}


def tool(name: str, **fields: Any) -> ListedTool:
    """Return a tool with parameters of any kind."""
    return ListedTool(name, "A tool.", fields.pop("parameters", {"type": "object"}), **fields)


@dataclass
class McpClient:
    """The client of one server, with a cache of its own as in a new process."""

    url: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    private: bool = True
    """Whether the server may have a private address, as loopback is."""
    other_hosts: tuple[str, ...] = ()
    now: float = 1_000_000.0

    def __post_init__(self) -> None:
        """Create the environment."""
        hosts = (urlsplit(self.url).netloc,) if self.private else ()
        self.environment = McpEnvironment(
            variables={"TENANT": "acme"},
            private_hosts=(*hosts, *self.other_hosts),
            circuits=CircuitBreakers(),
            read_secret=SECRETS.__getitem__,
            cache=McpCache(),
            clock=lambda: self.now,
        )
        self.server = McpServer.model_validate({"url": self.url, **self.fields})

    def list(self) -> ToolList:
        """List the tools."""
        return asyncio.run(list_tools("peer", self.server, self.environment))

    def call(
        self,
        called: ListedTool | str,
        arguments: Mapping[str, Any] | None = None,
        *,
        protocol: ProtocolVersion = "2026-07-28",
        input_responses: Mapping[str, Any] | None = None,
        request_state: str | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> ToolResult | InputRequired:
        """Call a tool."""
        return asyncio.run(
            call_tool(
                "peer",
                self.server,
                tool(called) if isinstance(called, str) else called,
                arguments or {},
                self.environment,
                protocol=protocol,
                input_responses=input_responses,
                request_state=request_state,
                on_progress=on_progress,
                idempotency_key="call-1",
            )
        )
