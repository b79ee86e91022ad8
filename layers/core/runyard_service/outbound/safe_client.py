"""HTTP client for tools and webhooks that does not reach private addresses.

A model, a page that it read, or a project may choose the address. So this client resolves the name,
checks every address of the host, and connects to a checked address directly. A second look-up,
which could return other addresses, never happens. Each redirect follows the same rules, and only
the first host may be private.

The peer may send anything. So every error of a response becomes an OutboundError. A status counts
once it was received, even if the body breaks; without a status, a request that was sent is in
doubt.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import httpx2

from runyard_service.outbound.addresses import is_allowlisted, is_link_local, is_public
from runyard_service.outbound.errors import OutboundError
from runyard_service.outbound.messages import OutgoingRequest, OutgoingResponse
from runyard_service.outbound.redirects import REDIRECTS, redirected, same_origin
from runyard_service.outbound.tls import tls_context

MAX_REDIRECTS = 5
EVENT_STREAM = "text/event-stream"
StreamReader = Callable[[AsyncIterator[httpx2.ServerSentEvent]], Awaitable[None]]
# No connection was made, or the request was invalid.
_NOT_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.UnsupportedProtocol,
    httpx2.LocalProtocolError,
)


@dataclass
class _Progress:
    """The state of a request. It decides what an error means.

    `status` is that of the final response; `was_sent` is True if any host received the request.
    """

    was_sent: bool = False
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    charset: str | None = None
    body: bytearray = field(default_factory=bytearray)

    def response(self) -> OutgoingResponse | None:
        """Return the final response with the part of its body that was read."""
        if self.status is None:
            return None
        try:
            text = self.body.decode(self.charset or "utf-8", "replace")
        except (LookupError, UnicodeError):  # Python has codecs that cannot decode text, e.g. idna.
            text = self.body.decode("utf-8", "replace")
        return OutgoingResponse(self.status, text, self.headers)


async def fetch(
    request: OutgoingRequest,
    private_hosts: tuple[str, ...],
    read_stream: StreamReader | None = None,
) -> OutgoingResponse:
    """Send the request, follow its redirects, and return the response.

    `read_stream` receives the events of a response that is an event stream; the returned text is
    then empty. The stream is closed when it returns. Each event has at most
    `max_response_bytes`; the timeout limits the whole stream.

    `private_hosts` are the `host:port` that may have a private address. The body of an error
    response, or with `truncate_response`, may be incomplete.

    Raises OutboundError: `address_refused`, `redirect_rejected`, `response_invalid`,
    `response_too_large`, `timeout`, `too_many_redirects`, `unreachable`, `url_invalid`. It is in
    doubt if the request was sent.
    """
    progress = _Progress()
    try:
        async with asyncio.timeout(request.timeout), _new_client(request) as client:
            await _follow(client, request, private_hosts, progress, read_stream)
    except Exception as error:
        status = progress.status
        is_status_enough = status is not None and (status >= 400 or request.truncate_response)
        if not is_status_enough:
            raise _outbound_error(error, request, progress) from error
    response = progress.response()
    assert response is not None, "without an error there is a status"
    return response


def _new_client(request: OutgoingRequest) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        verify=tls_context(),
        timeout=request.timeout,
        follow_redirects=False,
        trust_env=False,  # A proxy from the environment would resolve the name itself.
    )


def _outbound_error(
    error: Exception, request: OutgoingRequest, progress: _Progress
) -> OutboundError:
    is_in_doubt = progress.was_sent
    match error:
        case OutboundError():
            return OutboundError(
                error.code, error.message, kind=error.kind, is_in_doubt=is_in_doubt
            )
        case TimeoutError() | httpx2.TimeoutException():
            message = f"No answer within {request.timeout:g} s."
            return OutboundError("timeout", message, kind="network", is_in_doubt=is_in_doubt)
        case httpx2.SSEError():
            message = f"An event has more than {request.max_response_bytes} bytes."
            return OutboundError("response_too_large", message, is_in_doubt=is_in_doubt)
        case httpx2.HTTPError():
            message = f"The host cannot be reached: {error}"[:200]
            return OutboundError("unreachable", message, kind="network", is_in_doubt=is_in_doubt)
        case _:
            message = f"The response cannot be read ({type(error).__name__})."
            return OutboundError("response_invalid", message, is_in_doubt=is_in_doubt)


async def _follow(
    client: httpx2.AsyncClient,
    request: OutgoingRequest,
    private_hosts: tuple[str, ...],
    progress: _Progress,
    read_stream: StreamReader | None,
) -> None:
    first = _parse_url(request.url)
    for _ in range(MAX_REDIRECTS + 1):
        url = _parse_url(request.url)
        addresses = await _resolve(url, private_hosts if same_origin(url, first) else ())
        response = await _send(client, request, url, addresses, progress)
        try:
            location = response.headers.get("location")
            is_redirect = response.status_code in REDIRECTS and request.follow_redirects
            if not is_redirect or location is None:
                await _read(response, request, progress, read_stream)
                return
        finally:
            await response.aclose()
        request = redirected(request, url, response.status_code, location)
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
    is_allowed = is_allowlisted(host, port, private_hosts)
    # The metadata services of AWS are link-local. No allowlist is meant for them.
    if any(is_link_local(a) for a in addresses):
        raise OutboundError("address_refused", f"{host[:253]!r} is at a link-local address.")
    if not is_allowed and not all(map(is_public, addresses)):
        raise OutboundError("address_refused", _not_public(f"{host[:253]}:{port}"))
    return addresses


def _not_public(host_and_port: str) -> str:
    return (
        f"{host_and_port!r} is not at a public address. HTTP_ALLOWED_PRIVATE_HOSTS (tools) and"
        " WEBHOOK_ALLOWED_PRIVATE_HOSTS (webhooks) can allow it."
    )


async def _send(
    client: httpx2.AsyncClient,
    request: OutgoingRequest,
    url: httpx2.URL,
    addresses: list[str],
    progress: _Progress,
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
        # An overall timeout may end the request at any point, so this is set first.
        was_sent, progress.was_sent = progress.was_sent, True
        try:
            return await client.send(outgoing, stream=True)
        except _NOT_SENT as error:
            progress.was_sent = was_sent
            if not isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout):
                raise
            failure = error
    raise failure


async def _read(
    response: httpx2.Response,
    request: OutgoingRequest,
    progress: _Progress,
    read_stream: StreamReader | None,
) -> None:
    progress.headers = {name.lower(): value for name, value in response.headers.items()}
    progress.charset = response.charset_encoding
    progress.status = response.status_code
    is_stream = progress.headers.get("content-type", "").lower().startswith(EVENT_STREAM)
    if read_stream and is_stream and response.status_code < 400:
        events = httpx2.EventSource(response, max_event_size=request.max_response_bytes)
        await read_stream(aiter(events))
        return
    async for chunk in response.aiter_bytes():
        progress.body += chunk
        if len(progress.body) > request.max_response_bytes:
            del progress.body[request.max_response_bytes :]
            if response.status_code < 400 and not request.truncate_response:
                raise OutboundError(
                    "response_too_large", f"More than {request.max_response_bytes} bytes."
                )
            return  # An error response is always truncated.
