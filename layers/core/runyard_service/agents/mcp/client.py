"""Client of MCP servers: list their tools and call them, in both eras of the protocol."""

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from runyard_service.agents.definitions.mcp_servers import McpServer
from runyard_service.agents.mcp import sessions, stateless
from runyard_service.agents.mcp.base import (
    LIST_SECONDS,
    InputRequired,
    ListedTool,
    McpEnvironment,
    Progress,
    ProtocolVersion,
    ToolList,
    ToolResult,
)
from runyard_service.agents.mcp.connection import Connection, Message
from runyard_service.agents.mcp.failures import (
    EXCERPT_CHARACTERS,
    URL_REQUIRED,
    RpcError,
    as_unavailable,
    rpc_failure,
)
from runyard_service.agents.mcp.listing import fetch_tools
from runyard_service.agents.mcp.results import input_required, tool_result, url_input_required
from runyard_service.agents.mcp.tool_schemas import parameter_headers
from runyard_service.agents.tools.base import ToolError

MAX_CACHE_SECONDS = 300.0
# How often a server may request the same call again without asking a person.
_MAX_REPEATS = 10
_IDEMPOTENCY_META = "runyard/idempotencyKey"
_ERAS: Mapping[ProtocolVersion, ModuleType] = {
    "2026-07-28": stateless,
    "2025-11-25": sessions,
}


async def list_tools(name: str, server: McpServer, environment: McpEnvironment) -> ToolList:
    """Return the tools of a server; `name` is its name in `mcp.yaml`.

    The list is cached in this process as long as the server allows, at most 300 s.

    Raise ToolError: `tools_unavailable` with the cause, or `tools_invalid` for a list over a limit.
    """
    try:
        connection = Connection(server, environment, min(server.timeout, LIST_SECONDS))
        lists, now = environment.cache.lists, environment.clock()
        for key in (connection.key, connection.public_key):
            expires_at, cached = lists.get(key, (0.0, None))
            if cached and now < expires_at:
                return cached
        protocol = await _protocol(server, connection)
        listed = await fetch_tools(connection, protocol, _ERAS[protocol].request)
    except RpcError as error:
        raise as_unavailable(name, rpc_failure(error, name)) from error
    except ToolError as error:
        raise as_unavailable(name, error) from error
    seconds = min(listed.ttl_seconds, MAX_CACHE_SECONDS)
    if seconds > 0:
        key = connection.public_key if listed.is_public else connection.key
        lists[key] = (now + seconds, listed)
    return listed


async def call_tool(
    name: str,
    server: McpServer,
    tool: ListedTool,
    arguments: Mapping[str, Any],
    environment: McpEnvironment,
    *,
    protocol: ProtocolVersion,
    input_responses: Mapping[str, Any] | None = None,
    request_state: str | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    idempotency_key: str = "",
) -> ToolResult | InputRequired:
    """Call a tool of the server `name`, and return its result, or what the server asks a person.

    After InputRequired, the same call is made again with `input_responses`, by the keys of its
    requests, and with its `request_state`.

    Raise ToolError: `tool_error` for an error of the tool, `tool_gone`, `result_invalid`,
    `invalid_request_state` (call again without the state), `mcp_error` for an error of the
    protocol, `authorization_failed`, `http_<status>`, or the code of an OutboundError.
    """
    connection = Connection(server, environment, server.timeout)
    listener = _CallListener(on_progress)
    params: dict[str, Any] = {"name": tool.name, "arguments": dict(arguments)}
    headers: dict[str, str] = {}
    meta: dict[str, Any] = {}
    if on_progress:
        listener.token = meta["progressToken"] = f"progress-{next(environment.cache.request_ids)}"
    if idempotency_key:
        headers["idempotency-key"] = meta[_IDEMPOTENCY_META] = idempotency_key
    if protocol == stateless.VERSION:
        headers |= parameter_headers(tool.parameters, arguments)
        params |= {"inputResponses": dict(input_responses)} if input_responses else {}
    if meta:
        params["_meta"] = meta
    try:
        return await _call(connection, protocol, params, headers, listener, tool, request_state)
    except RpcError as error:
        if error.code == URL_REQUIRED and (required := url_input_required(error.data)):
            return required
        raise rpc_failure(error, name, tool.name) from error


async def _call(
    connection: Connection,
    protocol: ProtocolVersion,
    params: dict[str, Any],
    headers: Mapping[str, str],
    listener: "_CallListener",
    tool: ListedTool,
    state: str | None,
) -> ToolResult | InputRequired:
    for _ in range(_MAX_REPEATS):
        sent = params if state is None else {**params, "requestState": state}
        result = await _ERAS[protocol].request(
            connection, "tools/call", sent, listener.hear, headers=headers
        )
        if result.get("resultType", "complete") == "complete":
            return _finished(result, tool, listener)
        if result["resultType"] != "input_required":
            raise ToolError("mcp_error", f"Unknown result type {str(result['resultType'])[:40]!r}.")
        required = input_required(result)
        if required.requests:
            return required
        # The server is not ready, and continues the call when it is made again.
        state = required.request_state
    message = f"The server asked for the same call {_MAX_REPEATS} times."
    raise ToolError("mcp_error", message, kind="overloaded", is_in_doubt=True)


def _finished(result: Message, tool: ListedTool, listener: "_CallListener") -> ToolResult:
    try:
        return tool_result(result, tool)
    except ToolError as error:
        if error.code == "tool_error" and listener.rejected:
            message = (
                f"{error.message}\nThe server asked for {listener.rejected}, which Runyard only"
                " supports in version 2026-07-28 of the protocol."
            )
            raise ToolError(error.code, message) from error
        raise


async def _protocol(server: McpServer, connection: Connection) -> ProtocolVersion:
    """Return the version that the server speaks; ask it once per process for `auto`."""
    if server.protocol != "auto":
        return server.protocol
    protocols = connection.environment.cache.protocols
    if connection.key not in protocols:
        is_stateless = await stateless.is_supported(connection, _CallListener(None).hear)
        protocols[connection.key] = stateless.VERSION if is_stateless else sessions.VERSION
    return protocols[connection.key]


class _CallListener:
    """Hears the notifications of a call, and the requests of the server that are rejected."""

    def __init__(self, on_progress: Callable[[Progress], None] | None) -> None:
        self.token: str | None = None
        self.rejected = ""
        self._on_progress = on_progress

    async def hear(self, message: Message) -> None:
        params = message.get("params")
        if "id" in message and message.get("method") != "ping":
            self.rejected = str(message.get("method", ""))[:60]
        elif message.get("method") == "notifications/progress" and isinstance(params, Mapping):
            self._report(params)

    def _report(self, params: Mapping[str, Any]) -> None:
        value, total, text = params.get("progress"), params.get("total"), params.get("message")
        if self._on_progress is None or params.get("progressToken") != self.token:
            return
        if isinstance(value, int | float):
            self._on_progress(
                Progress(
                    value,
                    total if isinstance(total, int | float) else None,
                    text[:EXCERPT_CHARACTERS] if isinstance(text, str) else None,
                )
            )
