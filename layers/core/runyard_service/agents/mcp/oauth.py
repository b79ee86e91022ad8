"""Access tokens for an MCP server: a bearer secret, or OAuth by client credentials.

Tokens stay in memory, at most until a minute before they expire. Only requests to the server's own
URL contain them, and those requests follow no redirect.
"""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from runyard_service.agents.definitions.mcp_servers import (
    BearerSecret,
    ClientCredentials,
    McpServer,
)
from runyard_service.agents.mcp.base import AccessToken, McpEnvironment
from runyard_service.agents.mcp.discovery import TokenEndpoint, challenge_fields, discover
from runyard_service.agents.tools.base import ToolError
from runyard_service.domain.errors import FailureKind
from runyard_service.outbound.messages import OutgoingRequest, OutgoingResponse

MARGIN_SECONDS = 60
# RFC 6749 recommends `expires_in` but does not require it.
_DEFAULT_SECONDS = 300
_MAX_BYTES = 64 * 1024
_BASIC, _POST = "client_secret_basic", "client_secret_post"

Send = Callable[[OutgoingRequest], Awaitable[OutgoingResponse]]


class Authorization:
    """The authorization of one operation: at most one new token after a 401.

    `url` is the address of the server; `key` names the identity in the cache.
    """

    def __init__(
        self, server: McpServer, url: str, key: str, environment: McpEnvironment, send: Send
    ) -> None:
        self._server = server
        self._url = url
        self._key = key
        self._environment = environment
        self._send = send
        self._is_renewed = False

    async def header(self) -> Mapping[str, str]:
        """Return the header for the server; empty if no token is known or necessary."""
        match self._server.auth:
            case BearerSecret(secret=name):
                return _bearer(await self._secret(name))
            case ClientCredentials() as credentials:
                token = self._environment.cache.tokens.get(self._key)
                if token and self._environment.clock() < token.expires_at - MARGIN_SECONDS:
                    return _bearer(token.value)
                return await self._new_header(credentials, {})
            case None:
                return {}

    async def renewed_header(self, headers: Mapping[str, str]) -> Mapping[str, str] | None:
        """Return the header for another attempt after a 401; None if there is no other attempt."""
        credentials = self._server.auth
        if self._is_renewed or not isinstance(credentials, ClientCredentials):
            return None
        self._is_renewed = True
        self._environment.cache.tokens.pop(self._key, None)
        return await self._new_header(credentials, headers) or None

    async def _new_header(
        self, credentials: ClientCredentials, headers: Mapping[str, str]
    ) -> Mapping[str, str]:
        challenge = challenge_fields(headers.get("www-authenticate", ""))
        if credentials.token_url:
            endpoint: TokenEndpoint | None = TokenEndpoint(credentials.token_url, self._url)
        else:
            metadata_url = challenge.get("resource_metadata")
            endpoint = await discover(self._url, metadata_url, credentials.issuer, self._send)
        if endpoint is None:
            if headers:
                raise _failed(
                    "The server names no authorization server. Set `token_url` in mcp.yaml."
                )
            return {}  # The server may need no token, or name the metadata in its 401.
        scope = " ".join(credentials.scopes) or challenge.get("scope", "")
        secret = await self._secret(credentials.client_secret)
        token = await self._request_token(endpoint, credentials.client_id, secret, scope)
        self._environment.cache.tokens[self._key] = token
        return _bearer(token.value)

    async def _request_token(
        self, endpoint: TokenEndpoint, client_id: str, secret: str, scope: str
    ) -> AccessToken:
        self._check_encryption(endpoint.url)
        form = {"grant_type": "client_credentials", "resource": endpoint.resource}
        headers = {
            "accept": "application/json",
            "content-type": "application/x-www-form-urlencoded",
        }
        if scope:
            form["scope"] = scope
        if _POST in endpoint.methods and _BASIC not in endpoint.methods:
            form |= {"client_id": client_id, "client_secret": secret}
        else:
            # RFC 6749, 2.3.1: both are encoded as in a form before they are joined.
            pair = f"{quote(client_id, safe='')}:{quote(secret, safe='')}"
            headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        request = OutgoingRequest(
            "POST", endpoint.url, headers, urlencode(form).encode(), 0, _MAX_BYTES, False
        )
        try:
            response = await self._send(request)
        except ToolError as error:
            # The call of the tool was not sent, so it is not in doubt.
            raise _failed(f"The token endpoint failed: {error.message}", error.kind) from error
        return _token_in(response, self._environment.clock())

    def _check_encryption(self, token_url: str) -> None:
        """Raise ToolError if the secret would be sent in clear text."""
        if urlsplit(token_url).scheme != "https" and urlsplit(self._url).scheme == "https":
            raise _failed("The token endpoint must have an https:// address.")

    async def _secret(self, name: str) -> str:
        try:
            return (await asyncio.to_thread(self._environment.read_secret, name)).strip()
        except Exception as error:
            message = f"The secret {name!r} cannot be read ({type(error).__name__})."
            raise _failed(message) from error


def _token_in(response: OutgoingResponse, now: float) -> AccessToken:
    try:
        fields: Any = json.loads(response.text)
    except (ValueError, RecursionError):
        fields = None
    fields = fields if isinstance(fields, dict) else {}
    if response.status != 200 or not isinstance(fields.get("access_token"), str):
        reason = str(fields.get("error_description") or fields.get("error") or "no token")[:200]
        kind: FailureKind = "overloaded" if response.status in {429, 502, 503, 504} else "rejected"
        raise _failed(f"The token endpoint answered {response.status}: {reason}.", kind)
    seconds = fields.get("expires_in")
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    return AccessToken(fields["access_token"], now + (seconds if is_number else _DEFAULT_SECONDS))


def _bearer(token: str) -> Mapping[str, str]:
    if not token.isascii() or not token.isprintable() or not token:
        raise _failed("The access token is empty, or cannot be sent in a header.")
    return {"authorization": f"Bearer {token}"}


def _failed(message: str, kind: FailureKind = "rejected") -> ToolError:
    return ToolError("authorization_failed", message, kind=kind)
