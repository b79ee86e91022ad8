"""Build requests, send them with retries, and read responses."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urljoin, urlsplit
from uuid import uuid4

from runyard.client.core.bodies import Multipart, to_json
from runyard.client.core.effects import (
    READ_SECONDS,
    Call,
    Effect,
    Failure,
    Method,
    Open,
    Request,
    Response,
    Send,
    Sleep,
)
from runyard.client.core.retries import retry_after, retry_pause
from runyard.client.errors import (
    ApiError,
    Conflict,
    ConnectionLost,
    KeyRefused,
    NotFound,
    RateLimited,
)

MAX_REDIRECTS = 5
_ERRORS: Mapping[int, type[ApiError]] = {
    401: KeyRefused,
    403: KeyRefused,
    404: NotFound,
    409: Conflict,
    429: RateLimited,
}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_DEFAULT_PORTS = {"http": 80, "https": 443}

QueryValue = str | int | float | bool | Sequence[str] | None


def make_request(
    method: Method,
    path: str,
    *,
    query: Mapping[str, QueryValue] | None = None,
    body: Any = None,
    idempotency_key: str | None = None,
    read_seconds: float = READ_SECONDS,
) -> Request:
    """Return a request of the API. Every POST gets an Idempotency-Key for its retries."""
    headers = {"Accept": "application/json"}
    if method == "POST":
        headers["Idempotency-Key"] = idempotency_key or str(uuid4())
    content: bytes | Multipart | None = None
    if isinstance(body, Multipart):
        headers["Content-Type"], content = body.content_type, body
    elif body is not None:
        headers["Content-Type"], content = "application/json", to_json(body)
    return Request(
        method,
        path,
        _query(query or {}),
        headers,
        content,
        read_seconds,
        is_repeatable=method in ("GET", "POST"),
    )


def segment(text: str) -> str:
    """Return an id as one segment of a path. Raise ValueError for an id that cannot be one."""
    if text in ("", ".", ".."):
        raise ValueError(f"an id cannot be {text!r}")
    return quote(text, safe="")


def set_fields(**fields: Any) -> dict[str, Any]:
    """Return the fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def call_json(method: Method, path: str, **options: Any) -> Call[Any]:
    """Send a request of the API; return the JSON of the response, or None without a body."""
    return (yield from call(make_request(method, path, **options)))


def call(request: Request) -> Call[Any]:
    """Send the request; return the JSON of the response, or None without a body."""
    response = yield from exchange(request)
    return parse_json(response)


def exchange(request: Request, *, opens: bool = False) -> Call[Response]:
    """Send the request with retries and redirects; return a response with a 2xx status.

    Raise ApiError and ConnectionLost. With `opens`, the body of a 200 stays to be read.
    """
    for _ in range(MAX_REDIRECTS + 1):
        answer = yield from _try(request, opens=opens)
        if isinstance(answer, Failure):
            raise ConnectionLost(answer.reason)
        if not is_redirect(answer):
            return check_status(answer)
        request = redirected(request, answer)
    raise ApiError(303, "too_many_redirects", "check the URL of the API")


def _try(request: Request, *, opens: bool) -> Call[Response | Failure]:
    effect: Effect = Open(request) if opens else Send(request)
    attempt = 0
    while True:
        answer: Response | Failure = yield effect
        seconds = retry_pause(request, answer, attempt)
        if seconds is None:
            return answer
        yield Sleep(seconds)
        attempt += 1


def is_redirect(response: Response) -> bool:
    """Return whether the response refers to another URL."""
    return response.status in _REDIRECTS and "location" in response.headers


def redirected(request: Request, response: Response) -> Request:
    """Return the request to the location of a redirect, without credentials at another origin."""
    target = urljoin(response.url, response.headers["location"])
    same = origin(target) == origin(response.url)
    headers = {
        name: text
        for name, text in request.headers.items()
        if name in ("Accept", "Accept-Encoding", "Last-Event-ID")
    }
    if response.status != 303 and request.method != "GET":
        if not same:
            scheme, host, _ = origin(target)
            raise ApiError(response.status, "redirected", f"use the URL {scheme}://{host}")
        return replace(request, url=target, query=())
    return Request(
        "GET",
        target,
        headers=headers,
        read_seconds=request.read_seconds,
        has_credentials=request.has_credentials and same,
    )


def origin(url: str) -> tuple[str, str, int | None]:
    """Return the scheme, the host and the port of a URL."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or _DEFAULT_PORTS.get(parts.scheme)


def check_status(response: Response) -> Response:
    """Return the response if its status is 2xx, otherwise raise ApiError."""
    if 200 <= response.status < 300:
        return response
    raise _error(response)


def _error(response: Response) -> ApiError:
    """Return the error in a response of the Runs API, of the Threads API, or of a proxy."""
    try:
        body = json.loads(response.body)
    except ValueError:
        body = {}
    fields = body if isinstance(body, dict) else {}
    fields = fields["error"] if isinstance(fields.get("error"), dict) else fields
    details = fields.get("details")
    headers = response.headers
    return _ERRORS.get(response.status, ApiError)(
        response.status,
        str(fields.get("code") or f"http_{response.status}"),
        str(fields.get("message") or ""),
        details=details if isinstance(details, dict) else None,
        request_id=headers.get("x-request-id") or headers.get("x-trace-id"),
        retry_after=retry_after(headers),
    )


def parse_json(response: Response) -> Any:
    """Return the JSON of a response, None without a body. Raise ApiError for another body."""
    if not response.body:
        return None
    try:
        return json.loads(response.body)
    except ValueError:
        raise ApiError(
            response.status, "no_json", "the answer is no JSON; check the URL of the API"
        ) from None


def _query(values: Mapping[str, QueryValue]) -> tuple[tuple[str, str], ...]:
    pairs: list[tuple[str, str]] = []
    for name, value in values.items():
        if value is None:
            continue
        if isinstance(value, (str, int, float)):
            value = [_text(value)]
        pairs += [(name, item) for item in value]
    return tuple(pairs)


def _text(value: str | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
