"""Translate failures of MCP servers into the errors of tools."""

import re
from collections.abc import Mapping
from typing import Any

from runyard_service.agents.tools.base import ToolError
from runyard_service.domain.errors import FailureKind
from runyard_service.outbound.errors import (
    KINDS_BY_STATUS,
    STATUSES_IN_DOUBT,
    OutboundError,
)
from runyard_service.outbound.messages import OutgoingResponse
from runyard_service.outbound.retry_after import retry_after_of

EXCERPT_CHARACTERS = 500
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
UNSUPPORTED_VERSION = -32022
MISSING_CAPABILITY = -32021
URL_REQUIRED = -32042
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class RpcError(Exception):
    """The server answered with an error of JSON-RPC."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        code, data = error.get("code"), error.get("data")
        self.code: int = code if isinstance(code, int) else 0
        self.message = str(error.get("message", ""))[:EXCERPT_CHARACTERS]
        self.data: Mapping[str, Any] = data if isinstance(data, Mapping) else {}
        super().__init__(self.message)


def outbound_failure(error: OutboundError) -> ToolError:
    """Return the error for a request without a complete response."""
    return ToolError(error.code, error.message, kind=error.kind, is_in_doubt=error.is_in_doubt)


def http_failure(response: OutgoingResponse) -> ToolError:
    """Return the error for a response that is no message of the protocol."""
    status = response.status
    if status in _REDIRECTS:
        location = response.headers.get("location", "another address")[:EXCERPT_CHARACTERS]
        message = (
            f"The server redirects to {location} ({status}). MCP requests follow no redirect;"
            " set `url` in mcp.yaml to the final address."
        )
        return ToolError("redirect_rejected", message)
    if status < 400:
        kind = response.headers.get("content-type", "no content type")[:100]
        message = f"The server sent no response of the protocol (HTTP {status}, {kind})."
        return ToolError("mcp_error", message, is_in_doubt=True)
    excerpt = response.text.strip()[:EXCERPT_CHARACTERS]
    return ToolError(
        f"http_{status}",
        f"HTTP {status}: {excerpt}" if excerpt else f"HTTP {status}",
        kind=KINDS_BY_STATUS.get(status, "rejected"),
        retry_after=retry_after_of(response.retry_after),
        is_in_doubt=status in STATUSES_IN_DOUBT,
    )


def rpc_failure(error: RpcError, server_name: str, tool_name: str = "") -> ToolError:
    """Return the error for an error of JSON-RPC; `tool_name` is the tool that was called."""
    if error.code == INVALID_PARAMS and error.data.get("reason") == "invalid_request_state":
        message = "The server no longer accepts the state of this call."
        return ToolError("invalid_request_state", message, kind="invalid")
    if tool_name and says_unknown_tool(error.message, tool_name):
        return gone(tool_name)
    if error.code == UNSUPPORTED_VERSION:
        message = f"The MCP server {server_name!r} no longer supports this protocol version."
        return ToolError("mcp_error", message)
    if error.code == MISSING_CAPABILITY:
        message = (
            f"The MCP server {server_name!r} needs what Runyard does not offer in this protocol"
            f" version: {error.message} Only version 2026-07-28 can ask a person."
        )
        return ToolError("mcp_error", message)
    kind: FailureKind = "invalid" if error.code == INVALID_PARAMS else "rejected"
    message = f"The MCP server {server_name!r} rejected the request: {error.message}"
    return ToolError("mcp_error", f"{message} ({error.code})", kind=kind)


def says_unknown_tool(text: str, name: str) -> bool:
    """Return whether the text says that the server has no such tool.

    No code of the protocol says it; the official servers say it in these words.
    """
    quoted = f"[\"'`]?{re.escape(name)}[\"'`]?"
    pattern = f"unknown tool:? {quoted}|tool:? {quoted} (was )?not found|no such tool:? {quoted}"
    return re.search(pattern, text, re.IGNORECASE) is not None


def gone(name: str) -> ToolError:
    """Return the error for a tool that the server no longer has."""
    return ToolError("tool_gone", f"The server no longer has the tool {name[:128]!r}.")


def as_unavailable(server_name: str, error: ToolError) -> ToolError:
    """Return the error of a server whose tools cannot be listed, with its cause."""
    if error.code in {"tools_invalid", "tools_unavailable"}:
        return error
    return ToolError(
        "tools_unavailable",
        f"The tools of the MCP server {server_name!r} cannot be listed. {error.message}"
        f" ({error.code})",
        kind=error.kind,
        retry_after=error.retry_after,
        was_attempted=error.was_attempted,
    )
