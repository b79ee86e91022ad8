"""Validate webhook URLs: https to public addresses, or a host on the allowlist."""

import ipaddress
import re
from urllib.parse import urlsplit

from runyard_service.outbound.addresses import is_allowlisted, is_public

MAX_URL_LENGTH = 2048
_ALLOWED = "in WEBHOOK_ALLOWED_PRIVATE_HOSTS (as host:port)"


def url_issue(url: str, private_hosts: tuple[str, ...]) -> str | None:
    """Return the issue of an endpoint URL, in words for its owner; None if it is valid.

    Host names are not resolved here: each delivery checks the resolved address.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "must be a URL"
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url or not host:
        return "must be a percent-encoded URL"
    if parts.username is not None or parts.password is not None:
        return "must not contain a user name or password"
    if is_allowlisted(host, port or (443 if parts.scheme == "https" else 80), private_hosts):
        return None if parts.scheme in ("http", "https") else "must start with https://"
    if parts.scheme != "https":
        return f"must start with https://, or its host be {_ALLOWED}"
    if _is_private(host):
        return f"must resolve to a public address, or its host be {_ALLOWED}"
    return None


def _is_private(host: str) -> bool:
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal", ".")):
        return True
    try:
        return not is_public(str(ipaddress.ip_address(host)))
    except ValueError:
        return _is_numeric(host)


def _is_numeric(host: str) -> bool:
    """Return True if resolvers may read the name as an IPv4 address, such as `0x7f.1`."""
    last = host.rpartition(".")[2]
    return last.isdecimal() or re.fullmatch(r"0x[0-9a-f]*", last) is not None
