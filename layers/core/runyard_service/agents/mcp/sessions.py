"""The protocol version 2025-11-25: requests in a session, which the first request initializes.

A server may end a session at any time. It then rejects the next request, which is sent once more
in a new session.

The server can send requests on the stream of a call. Runyard answers `ping` and rejects all others.
It does not offer elicitation in this version: the server would wait on the open stream, and a
person may answer days later, when no function runs.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from runyard_service.agents.mcp.base import ProtocolVersion, Session
from runyard_service.agents.mcp.connection import Connection, Listener, Message, RpcResponse
from runyard_service.agents.mcp.failures import METHOD_NOT_FOUND, http_failure
from runyard_service.agents.mcp.stateless import CLIENT_INFO, result_of
from runyard_service.agents.tools.base import ToolError

VERSION: ProtocolVersion = "2025-11-25"
# Older versions of the streamable HTTP transport differ in nothing that this client uses.
_VERSIONS = frozenset({"2025-11-25", "2025-06-18", "2025-03-26"})
_INITIALIZATION_BYTES = 64 * 1024
# 404 is the protocol's status for an ended session; some servers use 400.
_SESSION_ENDED = frozenset({400, 404})
_MAX_RESUMES = 5
_RESUME_PAUSE_SECONDS = 1.0


async def request(
    connection: Connection,
    method: str,
    params: Mapping[str, Any],
    listen: Listener,
    *,
    headers: Mapping[str, str] | None = None,
    max_bytes: int | None = None,
) -> Message:
    """Send a request in the session of this process, and return its result.

    Raise RpcError, or ToolError for a response that is no message.
    """
    sessions = connection.environment.cache.sessions
    session = sessions.get(connection.key)
    is_reused = session is not None
    if session is None:
        session = await _initialize(connection, listen)
    received = await _send(connection, session, method, params, listen, headers, max_bytes)
    if is_reused and session.id and received.http.status in _SESSION_ENDED:
        sessions.pop(connection.key, None)
        session = await _initialize(connection, listen)
        received = await _send(connection, session, method, params, listen, headers, max_bytes)
    if received.message is None:
        raise http_failure(received.http)
    return result_of(received.message)


async def _initialize(connection: Connection, listen: Listener) -> Session:
    """Start a session. Parallel calls may each start one; the last of them is used again."""
    cache = connection.environment.cache
    message = {
        "jsonrpc": "2.0",
        "id": next(cache.request_ids),
        "method": "initialize",
        "params": {"protocolVersion": VERSION, "capabilities": {}, "clientInfo": CLIENT_INFO},
    }
    received = await connection.post(message, {}, listen, max_bytes=_INITIALIZATION_BYTES)
    if received.message is None:
        raise http_failure(received.http)
    version = result_of(received.message).get("protocolVersion")
    if version not in _VERSIONS:
        raise ToolError("mcp_error", f"The server speaks only version {str(version)[:40]!r}.")
    session = Session(received.http.headers.get("mcp-session-id"), str(version))
    notification = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    await connection.post(notification, _headers(session), listen)
    cache.sessions[connection.key] = session
    return session


async def _send(
    connection: Connection,
    session: Session,
    method: str,
    params: Mapping[str, Any],
    listen: Listener,
    headers: Mapping[str, str] | None,
    max_bytes: int | None,
) -> RpcResponse:
    request_id = next(connection.environment.cache.request_ids)
    message = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": dict(params)}

    async def hear(heard: Message) -> None:
        await listen(heard)
        if "method" in heard and "id" in heard:
            with suppress(ToolError):  # The server then decides how long it waits.
                await connection.post(_answer(heard), _headers(session), _ignore)

    all_headers = {**(headers or {}), **_headers(session)}
    received = await connection.post(message, all_headers, hear, max_bytes=max_bytes)
    for _ in range(_MAX_RESUMES):
        # The server may close a stream before the response, and continue it on another request.
        if received.message is not None or not received.last_event_id:
            break
        await asyncio.sleep(_RESUME_PAUSE_SECONDS)
        received = await connection.resume(
            _headers(session), request_id, hear, received.last_event_id
        )
    return received


def _headers(session: Session) -> dict[str, str]:
    headers = {"mcp-protocol-version": session.version}
    if session.id:
        headers["mcp-session-id"] = session.id
    return headers


def _answer(request: Message) -> Message:
    """Return the answer to a request of the server."""
    answer = {"jsonrpc": "2.0", "id": request["id"]}
    if request["method"] == "ping":
        return {**answer, "result": {}}
    text = f"Runyard does not support {request['method']} in this version of the protocol."
    return {**answer, "error": {"code": METHOD_NOT_FOUND, "message": text}}


async def _ignore(message: Message) -> None:
    """Ignore a message on the stream of an answer."""
