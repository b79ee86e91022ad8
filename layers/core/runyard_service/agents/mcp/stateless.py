"""The protocol version 2026-07-28: each request is complete in itself, without a session."""

import base64
import re
from collections.abc import Mapping
from typing import Any

from runyard_service.agents.mcp.base import ProtocolVersion
from runyard_service.agents.mcp.connection import Connection, Listener, Message
from runyard_service.agents.mcp.failures import METHOD_NOT_FOUND, RpcError, http_failure
from runyard_service.agents.tools.base import ToolError

VERSION: ProtocolVersion = "2026-07-28"
_META = "io.modelcontextprotocol/"
CLIENT_INFO = {"name": "runyard", "version": "0.1.0"}
# A person can answer forms and open links. No model and no folders are offered to servers.
_CAPABILITIES: Mapping[str, Any] = {"elicitation": {"form": {}, "url": {}}}
_PLAIN = r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?"
_ENCODED = r"=\?base64\?.*\?="
# The most that a server may say about itself.
_DISCOVERY_BYTES = 64 * 1024
# An overloaded server says nothing about the versions that it supports.
_OVERLOADED = frozenset({"rate_limited", "overloaded", "network"})


async def request(
    connection: Connection,
    method: str,
    params: Mapping[str, Any],
    listen: Listener,
    *,
    headers: Mapping[str, str] | None = None,
    max_bytes: int | None = None,
) -> Message:
    """Send a request and return its result.

    Raise RpcError, or ToolError for a response that is no message.
    """
    meta = {
        **params.get("_meta", {}),
        f"{_META}protocolVersion": VERSION,
        f"{_META}clientCapabilities": _CAPABILITIES,
        f"{_META}clientInfo": CLIENT_INFO,
    }
    message = {
        "jsonrpc": "2.0",
        "id": next(connection.environment.cache.request_ids),
        "method": method,
        "params": {**params, "_meta": meta},
    }
    all_headers = {**(headers or {}), "mcp-protocol-version": VERSION, "mcp-method": method}
    if name := params.get("name"):
        all_headers["mcp-name"] = header_text(name)
    received = await connection.post(message, all_headers, listen, max_bytes=max_bytes)
    if received.message is None:
        raise http_failure(received.http)
    return result_of(received.message)


async def is_supported(connection: Connection, listen: Listener) -> bool:
    """Return whether the server speaks this version.

    Raise ToolError if its response does not show it: it is overloaded, or rejects the caller.
    """
    try:
        result = await request(
            connection, "server/discover", {}, listen, max_bytes=_DISCOVERY_BYTES
        )
    except RpcError:
        return False
    except ToolError as error:
        is_answer = error.code in {"mcp_error", "http_500", "http_501"} or (
            error.code.startswith("http_4") and error.kind not in _OVERLOADED
        )
        if not is_answer or error.code in {"http_401", "http_403"}:
            raise
        return False
    versions = result.get("supportedVersions")
    return isinstance(versions, list) and VERSION in versions


def result_of(message: Message) -> Message:
    """Return the result of a JSON-RPC response; raise RpcError for an error."""
    error, result = message.get("error"), message.get("result")
    if isinstance(error, Mapping):
        raise RpcError(error)
    if not isinstance(result, Mapping):
        raise RpcError({"code": METHOD_NOT_FOUND, "message": "The response has no result."})
    return result


def header_text(value: str) -> str:
    """Return a text as the value of a header, in base64 if a header cannot hold it."""
    if re.fullmatch(_PLAIN, value) and not re.fullmatch(_ENCODED, value):
        return value
    return f"=?base64?{base64.b64encode(value.encode()).decode()}?="
