"""TLS towards providers, tools and webhooks: one context for the whole process."""

import ssl
from functools import lru_cache

import httpx2


@lru_cache(maxsize=1)
def tls_context() -> ssl.SSLContext:
    """What checks certificates. Loading the roots is the slow part of a client; it is shared."""
    return httpx2.create_ssl_context()
