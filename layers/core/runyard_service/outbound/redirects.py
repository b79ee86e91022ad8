"""Redirects of outbound HTTP: which request follows, and which headers another host may see."""

from dataclasses import replace

import httpx2

from runyard_service.outbound.errors import OutboundError
from runyard_service.outbound.messages import OutgoingRequest

REDIRECTS = frozenset({301, 302, 303, 307, 308})
# Any other header may contain a key of the installation. It is sent only to the original host.
HEADERS_FOR_ANY_HOST = frozenset({"accept", "content-type", "user-agent", "idempotency-key"})


def same_origin(url: httpx2.URL, other: httpx2.URL) -> bool:
    """Return whether the URLs have the same scheme, host and port."""
    return (url.scheme, url.netloc) == (other.scheme, other.netloc)


def redirected(
    request: OutgoingRequest, url: httpx2.URL, status: int, location: str
) -> OutgoingRequest:
    """Return the request that follows a redirect.

    Raises OutboundError: `url_invalid`, or `redirect_rejected` for a body that another host would
    receive.
    """
    try:
        target = url.join(location)
    except httpx2.InvalidURL as error:
        raise OutboundError("url_invalid", "The redirect leads to no valid URL.") from error
    following = replace(request, url=str(target))
    if status == 303 or (status in {301, 302} and request.method == "POST"):
        headers = {k: v for k, v in request.headers.items() if k.lower() != "content-type"}
        following = replace(following, method="GET", body=None, headers=headers)
    if not same_origin(target, url):
        if following.body is not None or following.method not in {"GET", "HEAD"}:
            raise OutboundError(
                "redirect_rejected",
                f"The redirect ({status}) would send a {following.method} to another host.",
            )
        headers = {k: v for k, v in following.headers.items() if k.lower() in HEADERS_FOR_ANY_HOST}
        following = replace(following, headers=headers)
    return following
