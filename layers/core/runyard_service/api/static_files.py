"""Serve the files of a page. A content security policy blocks all other hosts."""

import gzip
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

_TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}
# Smaller files are not worth the work of the browser.
_LEAST_COMPRESSED_BYTES = 1024


def security_policy(connect: Iterable[str] = (), *, trusted_types: bool = False) -> str:
    """Return the Content-Security-Policy of a page that also connects to these origins."""
    rules = [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        " ".join(("connect-src 'self'", *connect)),
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
    if trusted_types:
        rules += ["require-trusted-types-for 'script'", "trusted-types 'none'"]
    return "; ".join(rules)


def file_response(request: Request, path: Path, policy: str, cache: str = "no-cache") -> Response:
    """Return the file, compressed if the client accepts it. API Gateway does not compress."""
    headers = {
        "Cache-Control": cache,
        "Content-Security-Policy": policy,
        "X-Frame-Options": "DENY",
        "Vary": "Accept-Encoding",
    }
    content, compressed = _content(path)
    if compressed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        content, headers["Content-Encoding"] = compressed, "gzip"
    return Response(content, headers=headers, media_type=_TYPES[path.suffix])


@lru_cache
def _content(path: Path) -> tuple[bytes, bytes | None]:
    """Return the file, and the same compressed."""
    content = path.read_bytes()
    if len(content) < _LEAST_COMPRESSED_BYTES:
        return content, None
    return content, gzip.compress(content, mtime=0)
