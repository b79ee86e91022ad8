"""Find the token endpoint of an MCP server (RFC 9728 and RFC 8414)."""

import json
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from runyard_service.agents.tools.base import ToolError
from runyard_service.outbound.messages import OutgoingRequest, OutgoingResponse

_MAX_BYTES = 64 * 1024
_FIELD = r'([A-Za-z_]+)=(?:"([^"]*)"|([^\s,]+))'

Send = Callable[[OutgoingRequest], Awaitable[OutgoingResponse]]


class TokenEndpoint:
    """Where the tokens for `resource` come from, and how a client can authenticate there."""

    def __init__(self, url: str, resource: str, methods: tuple[str, ...] = ()) -> None:
        self.url = url
        self.resource = resource
        self.methods = methods


def challenge_fields(www_authenticate: str) -> Mapping[str, str]:
    """Return the fields of a header `WWW-Authenticate`, e.g. `resource_metadata` and `scope`."""
    return {
        name.lower(): quoted or plain
        for name, quoted, plain in re.findall(_FIELD, www_authenticate)
    }


async def discover(
    server_url: str, metadata_url: str | None, issuer: str | None, send: Send
) -> TokenEndpoint | None:
    """Return the token endpoint of the server; None if the server has no metadata.

    `metadata_url` is what the server named in a 401. With `issuer`, only that authorization server
    is used: the server could otherwise name one that collects client secrets.

    Raise ToolError `authorization_failed` if the metadata is wrong or has no usable endpoint.
    """
    resource = await _first_object(_resource_metadata_urls(server_url, metadata_url), send)
    if resource is None:
        return None
    named = resource.get("resource")
    if not isinstance(named, str) or not _covers(named, server_url):
        raise _failed(f"The metadata of the server is for another resource ({str(named)[:200]}).")
    servers = list(_texts(resource.get("authorization_servers")))
    if issuer and issuer not in servers:
        raise _failed(f"The server does not use the authorization server {issuer}.")
    chosen = issuer or (servers[0] if servers else None)
    if chosen is None:
        raise _failed("The metadata of the server names no authorization server.")
    metadata = await _first_object(_server_metadata_urls(chosen), send)
    if metadata is None or metadata.get("issuer") != chosen:
        raise _failed(f"The authorization server {chosen[:200]} has no metadata of that name.")
    endpoint = metadata.get("token_endpoint")
    if not isinstance(endpoint, str):
        raise _failed(f"The authorization server {chosen[:200]} names no token endpoint.")
    methods = tuple(_texts(metadata.get("token_endpoint_auth_methods_supported")))
    return TokenEndpoint(endpoint, named, methods)


def _resource_metadata_urls(server_url: str, metadata_url: str | None) -> Iterator[str]:
    if metadata_url:
        yield metadata_url
    parts = urlsplit(server_url)
    well_known = f"{parts.scheme}://{parts.netloc}/.well-known/oauth-protected-resource"
    if path := parts.path.rstrip("/"):
        yield well_known + path
    yield well_known


def _server_metadata_urls(issuer: str) -> Iterator[str]:
    parts = urlsplit(issuer)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    yield f"{origin}/.well-known/oauth-authorization-server{path}"
    yield f"{origin}/.well-known/openid-configuration{path}"
    if path:
        yield f"{origin}{path}/.well-known/openid-configuration"


async def _first_object(urls: Iterator[str], send: Send) -> Mapping[str, Any] | None:
    """Return the first JSON object that one of the addresses has."""
    for url in urls:
        request = OutgoingRequest(
            "GET", url, {"accept": "application/json"}, None, 0, _MAX_BYTES, False
        )
        try:
            response = await send(request)
        except ToolError as error:
            message = f"The metadata at {url[:200]} cannot be read: {error.message}"
            raise ToolError("authorization_failed", message, kind=error.kind) from error
        try:
            value = json.loads(response.text) if response.status == 200 else None
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            return value
    return None


def _covers(resource: str, server_url: str) -> bool:
    """Return whether the resource is the server's URL or a parent of it."""
    named, server = urlsplit(resource), urlsplit(server_url)
    is_same_origin = (named.scheme, named.netloc.lower()) == (server.scheme, server.netloc.lower())
    return is_same_origin and f"{server.path.rstrip('/')}/".startswith(f"{named.path.rstrip('/')}/")


def _texts(value: object) -> Iterator[str]:
    return (
        (item for item in value if isinstance(item, str)) if isinstance(value, list) else iter(())
    )


def _failed(message: str) -> ToolError:
    return ToolError("authorization_failed", message)
