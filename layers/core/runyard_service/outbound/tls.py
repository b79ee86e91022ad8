"""TLS for providers, tools and webhooks: one context for the whole process."""

import ssl
from functools import lru_cache

import httpx2


@lru_cache(maxsize=1)
def tls_context() -> ssl.SSLContext:
    """Return the shared context. Loading the root certificates is the slow part of a client."""
    return httpx2.create_ssl_context()
