"""HTTP client for tools and webhooks that does not reach private addresses.

A model, a page that it read, or a project may choose the address. So this client resolves the name,
checks every address of the host, and connects to a checked address directly. A second look-up,
which could return other addresses, never happens. Each redirect follows the same rules.
"""

import asyncio
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace

import httpx2

from runyard_service.outbound.addresses import is_allowlisted, is_public
from runyard_service.outbound.errors import OutboundError
from runyard_service.outbound.tls import tls_context

MAX_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})
# Any other header may contain a key of the installation. It is sent only to the original host.
HEADERS_FOR_ANY_HOST = frozenset({"accept", "content-type", "user-agent", "idempotency-key"})
# No connection was made, or the request was invalid.
_NOT_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.UnsupportedProtocol,
    httpx2.LocalProtocolError,
)


@dataclass(frozen=True)
class OutgoingRequest:
    """An outgoing request. `timeout` is in seconds for the whole call, redirects included.

    Without `follow_redirects`, a redirect is returned as the response. With `truncate_response`, a
    response larger than `max_response_bytes` is truncated instead of rejected.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    timeout: float
    max_response_bytes: int
    follow_redirects: bool = True
    truncate_response: bool = False


@dataclass(frozen=True)
class OutgoingResponse:
    """The response after all redirects."""

    status: int
    text: str
    retry_after: str | None = None


async def fetch(request: OutgoingRequest, private_hosts: tuple[str, ...]) -> OutgoingResponse:
    """Send the request, follow its redirects, and return the response.

    Raises OutboundError: `address_refused`, `unreachable`, `timeout`, `url_invalid`,
    `too_many_redirects`, `response_too_large`.
    """
    client = httpx2.AsyncClient(
        verify=tls_context(),
        timeout=request.timeout,
        follow_redirects=False,
        trust_env=False,  # A proxy from the environment would resolve the name itself.
    )
    try:
        async with asyncio.timeout(request.timeout), client:
            return await _follow(client, request, private_hosts)
    except (TimeoutError, httpx2.TimeoutException) as error:
        message = f"No answer within {request.timeout:g} s."
        was_sent = not isinstance(error, _NOT_SENT)
        raise OutboundError("timeout", message, kind="network", is_in_doubt=was_sent) from error
    except httpx2.HTTPError as error:
        message = f"The host cannot be reached: {error}"[:200]
        was_sent = not isinstance(error, _NOT_SENT)
        raise OutboundError("unreachable", message, kind="network", is_in_doubt=was_sent) from error


async def _follow(
    client: httpx2.AsyncClient, request: OutgoingRequest, private_hosts: tuple[str, ...]
) -> OutgoingResponse:
    for _ in range(MAX_REDIRECTS + 1):
        url = _parse_url(request.url)
        addresses = await _resolve(url, private_hosts)
        response = await _send(client, request, url, addresses)
        try:
            location = response.headers.get("location")
            is_redirect = response.status_code in REDIRECTS and request.follow_redirects
            if not is_redirect or location is None:
                return OutgoingResponse(
                    response.status_code,
                    await _read_text(response, request),
                    response.headers.get("retry-after"),
                )
        finally:
            await response.aclose()
        request = _redirect(request, url, response.status_code, location)
    raise OutboundError("too_many_redirects", f"More than {MAX_REDIRECTS} redirects.")


def _parse_url(text: str) -> httpx2.URL:
    try:
        url = httpx2.URL(text)
    except httpx2.InvalidURL as error:
        raise OutboundError("url_invalid", "The address is not a valid URL.") from error
    if url.scheme not in {"http", "https"} or not url.host:
        raise OutboundError("url_invalid", "The address must begin with http:// or https://.")
    return url


async def _resolve(url: httpx2.URL, private_hosts: tuple[str, ...]) -> list[str]:
    """Return the addresses of the URL's host. A single private address rejects the host."""
    host = url.raw_host.decode("ascii")
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        entries = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        message = f"The name {host[:253]!r} is not known."
        raise OutboundError("unreachable", message, kind="network") from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in entries))
    if not is_allowlisted(host, port, private_hosts):
        for address in addresses:
            if not is_public(address):
                raise OutboundError(
                    "address_refused", f"{host[:253]!r} is not at a public address."
                )
    return addresses


async def _send(
    client: httpx2.AsyncClient, request: OutgoingRequest, url: httpx2.URL, addresses: list[str]
) -> httpx2.Response:
    """Send to the first address that accepts the connection, with the host's own name."""
    headers = [(name.encode(), value.encode()) for name, value in request.headers.items()]
    headers.append((b"Host", url.netloc))
    failure: httpx2.TransportError = httpx2.ConnectError("it has no address")
    for address in addresses:
        outgoing = client.build_request(
            request.method,
            url.copy_with(host=address),
            headers=headers,
            content=request.body,
            extensions={"sni_hostname": url.raw_host.decode("ascii")},
        )
        try:
            return await client.send(outgoing, stream=True)
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            failure = error
    raise failure


async def _read_text(response: httpx2.Response, request: OutgoingRequest) -> str:
    received = bytearray()
    async for chunk in response.aiter_bytes():
        received += chunk
        if len(received) > request.max_response_bytes:
            if response.status_code < 400 and not request.truncate_response:
                raise OutboundError(
                    "response_too_large", f"More than {request.max_response_bytes} bytes."
                )
            del received[request.max_response_bytes :]
            break  # An error response is always truncated.
    try:
        return received.decode(response.charset_encoding or "utf-8", "replace")
    except LookupError:
        return received.decode("utf-8", "replace")


def _redirect(
    request: OutgoingRequest, url: httpx2.URL, status: int, location: str
) -> OutgoingRequest:
    try:
        target = url.join(location)
    except httpx2.InvalidURL as error:
        raise OutboundError("url_invalid", "The redirect leads to no valid URL.") from error
    redirected = replace(request, url=str(target))
    if status == 303 or (status in {301, 302} and request.method == "POST"):
        headers = {k: v for k, v in request.headers.items() if k.lower() != "content-type"}
        redirected = replace(redirected, method="GET", body=None, headers=headers)
    if (target.scheme, target.netloc) != (url.scheme, url.netloc):
        headers = {k: v for k, v in redirected.headers.items() if k.lower() in HEADERS_FOR_ANY_HOST}
        redirected = replace(redirected, headers=headers)
    return redirected
