"""Requests to one MCP server: headers, access token, limits, circuit breaker, and the response.

Both eras of the protocol send their messages through a Connection, which lasts for one operation.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

import httpx2

from runyard_service.agents.definitions.mcp_servers import ClientCredentials, McpServer
from runyard_service.agents.mcp.base import McpEnvironment
from runyard_service.agents.mcp.failures import outbound_failure
from runyard_service.agents.mcp.oauth import Authorization
from runyard_service.agents.tools.base import ToolError
from runyard_service.agents.variables import with_variables
from runyard_service.outbound.addresses import is_allowlisted
from runyard_service.outbound.errors import OutboundError
from runyard_service.outbound.messages import OutgoingRequest, OutgoingResponse
from runyard_service.outbound.safe_client import StreamReader, fetch

Message = Mapping[str, Any]
# Called with each message of a stream that is not the response.
Listener = Callable[[Message], Awaitable[None]]

UNAUTHORIZED = 401
# The client sets these itself.
_OWN_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection"})


class RpcResponse:
    """A response, and the JSON-RPC response in it, if any.

    `last_event_id` is that of a stream that ended without a response.
    """

    def __init__(self, http: OutgoingResponse, message: Message | None, last_event_id: str) -> None:
        self.http = http
        self.message = message
        self.last_event_id = last_event_id


class Connection:
    """Sends requests to a server; `timeout` in seconds limits them together.

    Raise ToolError: `variable_missing` for a `${NAME}` that the installation does not have.
    """

    def __init__(self, server: McpServer, environment: McpEnvironment, timeout: float) -> None:
        variables = environment.variables
        headers = {name.lower(): value for name, value in server.headers.items()}
        self.environment = environment
        self.url = _rendered(server.url, variables)
        self._headers = {
            name: _rendered(value, variables)
            for name, value in headers.items()
            if name not in _OWN_HEADERS
        }
        self._token_url = (
            server.auth.token_url if isinstance(server.auth, ClientCredentials) else None
        )
        self._max_bytes = server.max_result_bytes
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.time() + timeout
        self.public_key = f"{self.url} {server.protocol}"
        self.key = _identity(self.url, self._headers, server)
        """Names what the server knows of its caller; results of another key may differ."""
        self._authorization = Authorization(server, self.url, self.key, environment, self.send)

    async def post(
        self,
        message: Message,
        headers: Mapping[str, str],
        listen: Listener,
        *,
        max_bytes: int | None = None,
    ) -> RpcResponse:
        """Send a request or notification, and return the response to it.

        A 401 gets one new access token and one more attempt.
        """
        body = json.dumps(message, ensure_ascii=False).encode()
        return await self._exchange("POST", headers, body, message.get("id"), listen, max_bytes)

    async def resume(
        self, headers: Mapping[str, str], request_id: object, listen: Listener, event_id: str
    ) -> RpcResponse:
        """Continue a stream after its event `event_id`, and return the response in it."""
        following = {**headers, "last-event-id": event_id}
        return await self._exchange("GET", following, None, request_id, listen, None)

    async def send(
        self, request: OutgoingRequest, read_stream: StreamReader | None = None
    ) -> OutgoingResponse:
        """Send a request to any address through its circuit breaker, within the time left."""
        circuit = self.environment.circuits.of(urlsplit(request.url).netloc.lower())
        if reason := circuit.open_reason():
            raise ToolError("unavailable", reason, kind="overloaded", was_attempted=False)
        limited = replace(request, timeout=max(0.001, self._deadline - self._loop.time()))
        try:
            response = await fetch(limited, self._private_hosts_for(request.url), read_stream)
        except OutboundError as error:
            if error.kind == "network":
                # Not the message: other runs receive this reason.
                circuit.record_failure(f"The call before failed: {error.code}.")
            else:
                circuit.record_success()
            raise outbound_failure(error) from error
        circuit.record_success()
        return response

    def _private_hosts_for(self, url: str) -> tuple[str, ...]:
        """Return the private hosts that the request may reach.

        A public server may name any address as its authorization server, but no private one.
        """
        server, private_hosts = urlsplit(self.url), self.environment.private_hosts
        port = server.port or (443 if server.scheme == "https" else 80)
        is_trusted = is_allowlisted(server.hostname or "", port, private_hosts)
        return private_hosts if is_trusted or url == self._token_url else ()

    async def _exchange(
        self,
        method: str,
        headers: Mapping[str, str],
        body: bytes | None,
        request_id: object,
        listen: Listener,
        max_bytes: int | None,
    ) -> RpcResponse:
        limit = max_bytes or self._max_bytes
        request = OutgoingRequest(method, self.url, {}, body, 0, limit, follow_redirects=False)
        all_headers = {
            "accept": "application/json, text/event-stream",
            "content-type": "application/json",
            **self._headers,
            **headers,
            **await self._authorization.header(),
        }
        stream = _Stream(request_id, listen)
        response = await self.send(replace(request, headers=all_headers), stream.read)
        if response.status == UNAUTHORIZED:
            renewed = await self._authorization.renewed_header(response.headers)
            if renewed:
                request = replace(request, headers={**all_headers, **renewed})
                response = await self.send(request, stream.read)
        message = stream.response or _response_in(response, request_id)
        return RpcResponse(response, message, stream.last_event_id)


class _Stream:
    """Reads an event stream up to the response to a request."""

    def __init__(self, request_id: object, listen: Listener) -> None:
        self._request_id = request_id
        self._listen = listen
        self.response: Message | None = None
        self.last_event_id = ""

    async def read(self, events: AsyncIterator[httpx2.ServerSentEvent]) -> None:
        async for event in events:
            self.last_event_id = event.id or self.last_event_id
            message = _parsed(event.data)
            if message is None:
                continue
            if _is_response(message, self._request_id):
                self.response = message
                return
            await self._listen(message)


def _response_in(response: OutgoingResponse, request_id: object) -> Message | None:
    """Return the JSON-RPC response in a body, if it is one.

    A server that cannot read the id of a request sends an error without an id.
    """
    message = _parsed(response.text)
    if message is None:
        return None
    is_error = "error" in message and message.get("id") is None
    return message if is_error or _is_response(message, request_id) else None


def _is_response(message: Message, request_id: object) -> bool:
    is_response = "method" not in message and ("result" in message or "error" in message)
    return is_response and message.get("id") == request_id


def _parsed(text: str) -> Message | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _rendered(template: str, variables: Mapping[str, str]) -> str:
    try:
        text: str = with_variables(template, variables)
    except KeyError as error:
        message = f"${{{error.args[0]}}} in mcp.yaml is not set. Add it to AGENT_VARIABLES."
        raise ToolError("variable_missing", message) from None
    return text


def _identity(url: str, headers: Mapping[str, str], server: McpServer) -> str:
    auth = server.auth.model_dump(mode="json") if server.auth else None
    text = json.dumps([url, server.protocol, sorted(headers.items()), auth], sort_keys=True)
    return sha256(text.encode()).hexdigest()
