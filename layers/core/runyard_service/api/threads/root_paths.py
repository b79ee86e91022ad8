"""Route unambiguous requests without the `/threads` prefix to the Threads API.

The Threads API has its own base path, because four of its routes have the same path as a route of
the Runs API. Requests that only match the Threads API are also accepted at the root. `RULES` lists
them.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runyard_service.api.http import MAX_ANSWER_BODY_BYTES
from runyard_service.api.parse_json import parse_json
from runyard_service.domain.request_errors import InvalidRequestError

BASE_PATH = "/threads"


def is_threads_path(path: str) -> bool:
    """Return True if the path is under the base path of the Threads API."""
    return path == BASE_PATH or path.startswith(f"{BASE_PATH}/")


@dataclass(frozen=True)
class Rule:
    """A condition on requests: all fields that are set must match."""

    method: str
    path: re.Pattern[str]
    query: frozenset[str] = frozenset()
    """The query has at least one of these parameters, and none of `not_in_query`."""
    not_in_query: frozenset[str] = frozenset()
    accepts_only_streams: bool = False
    """The `Accept` header contains `text/event-stream`, and does not accept JSON."""
    body: frozenset[str] = frozenset()
    """The body is a JSON object with all of these fields, and none of `not_in_body`."""
    not_in_body: frozenset[str] = frozenset()


ANY = "*"
_JSON_TYPES = frozenset({"application/json", "application/*", "*/*"})
_ZERO_QUALITY = re.compile(r"q\s*=\s*0(\.0*)?")
RULES = (
    Rule(ANY, re.compile(r"/v1/threads(/.*)?")),
    Rule("POST", re.compile(r"/v1/runs/[^/]+:cancel")),
    Rule("GET", re.compile(r"/v1/runs/[^/]+/events"), accepts_only_streams=True),
    Rule(
        "GET",
        re.compile(r"/v1/runs"),
        query=frozenset({"limit", "before"}),
        not_in_query=frozenset({"page", "page_size", "sort", "user_id", "session_id"}),
    ),
    Rule(
        "POST",
        re.compile(r"/v1/runs/[^/]+/input"),
        body=frozenset({"content"}),
        not_in_body=frozenset({"type", "data"}),
    ),
    Rule("GET", re.compile(r"/v1/(personas|routes)")),
)


class RootPathRewriter:
    """ASGI middleware that prefixes the path of requests that match a rule.

    A rule about the body only matches if `is_authentic(scope)`, so it reads no body of a stranger.
    """

    def __init__(self, app: ASGIApp, is_authentic: Callable[[Scope], Awaitable[bool]]) -> None:
        self._app = app
        self._is_authentic = is_authentic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http":
            for rule in RULES:
                if not _matches(rule, scope):
                    continue
                matches = True
                if rule.body:
                    matches = await self._is_authentic(scope)
                    if matches:
                        matches, receive = await _body_matches(rule, receive)
                if matches:
                    # Change the scope itself: outer middleware reads this path.
                    scope["path"] = BASE_PATH + scope["path"]
                    if scope.get("raw_path"):
                        scope["raw_path"] = BASE_PATH.encode() + scope["raw_path"]
                break
        await self._app(scope, receive, send)


def _matches(rule: Rule, scope: Scope) -> bool:
    method = "GET" if scope["method"] == "HEAD" else scope["method"]
    if rule.method not in (ANY, method) or not rule.path.fullmatch(scope["path"]):
        return False
    if rule.accepts_only_streams and not _accepts_only_streams(Headers(scope=scope)):
        return False
    if not rule.query:
        return True
    query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return not rule.query.isdisjoint(query) and rule.not_in_query.isdisjoint(query)


def _accepts_only_streams(headers: Headers) -> bool:
    types = set()
    for entry in headers.get("accept", "").lower().split(","):
        media_type, *parameters = (part.strip() for part in entry.split(";"))
        if not any(_ZERO_QUALITY.fullmatch(parameter) for parameter in parameters):
            types.add(media_type)
    return "text/event-stream" in types and types.isdisjoint(_JSON_TYPES)


async def _body_matches(rule: Rule, receive: Receive) -> tuple[bool, Receive]:
    """Return True if the body matches, and a receive function that replays the body."""
    body, messages = b"", []
    more = True
    while more and len(body) <= MAX_ANSWER_BODY_BYTES:
        message = await receive()
        messages.append(message)
        body += message.get("body", b"")
        more = message.get("more_body", False)
    try:
        # The route rejects a longer body.
        fields = parse_json(body, "body") if len(body) <= MAX_ANSWER_BODY_BYTES else None
    except InvalidRequestError:
        fields = None
    matches = (
        isinstance(fields, dict)
        and rule.body <= fields.keys()
        and rule.not_in_body.isdisjoint(fields)
    )
    return matches, _replay(messages, receive)


def _replay(messages: list[Message], receive: Receive) -> Callable[[], Awaitable[Message]]:
    left = iter(messages)

    async def receive_again() -> Message:
        message = next(left, None)
        return await receive() if message is None else message

    return receive_again
