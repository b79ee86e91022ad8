"""Decide which callers can use the servers of the local stack: those on this machine."""

import os
from collections.abc import Sequence
from urllib.parse import urlsplit

# A container calls this machine `host.docker.internal`.
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1", "host.docker.internal"})
HOSTS_VARIABLE = "ALLOWED_HOSTS"


def find_foreign_caller(hosts: Sequence[str], origins: Sequence[str]) -> str:
    """Return why a request with these `Host` and `Origin` headers is rejected, or "".

    Allowed are the names of this machine and those in ALLOWED_HOSTS, separated by commas. The
    origin in CORS_ORIGIN is also allowed. `*` there does not extend the list.
    """
    names = _LOCAL_NAMES | {name.strip().lower() for name in _variable(HOSTS_VARIABLE).split(",")}
    hosts = hosts or [""]
    for host in hosts:
        if (_name(f"//{host}") or "?") not in names:
            return (
                f"The Host header is {host!r}. The local stack accepts localhost, 127.0.0.1 and"
                f" [::1]. Start it with {HOSTS_VARIABLE}=NAME to accept another name."
            )
    for origin in origins:
        if origin != _variable("CORS_ORIGIN") and (_name(origin) or "?") not in names:
            return (
                f"The origin is {origin!r}. The local stack accepts pages from localhost,"
                " 127.0.0.1 and [::1]. Start it with CORS_ORIGIN=ORIGIN to accept another origin."
            )
    return ""


def _variable(name: str) -> str:
    return os.environ.get(name, "")


def _name(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
