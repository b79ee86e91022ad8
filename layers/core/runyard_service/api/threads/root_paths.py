"""The requests that the root answers as the Threads API does.

The Threads API has a base path of its own, because four of its routes have the names of the Runs
API's. But a request that cannot be mistaken for one of the Runs API is answered at the root too, as
if it had been sent to `/threads`. The table below is all there is to it.
"""

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runyard_service.api.http import MAX_BODY_BYTES

BASE_PATH = "/threads"


def is_threads_path(path: str) -> bool:
    """Whether the path is one of the Threads API's own."""
    return path == BASE_PATH or path.startswith(f"{BASE_PATH}/")


@dataclass(frozen=True)
class Rule:
    """Requests of this method and path, as far as the last of the tests holds for them."""

    method: str
    path: re.Pattern[str]
    query: frozenset[str] = frozenset()
    """One of these parameters is given, and none of `not_in_query`."""
    not_in_query: frozenset[str] = frozenset()
    accept: str = ""
    """The `Accept` header names this type."""
    body: frozenset[str] = frozenset()
    """The body is a JSON object with all of these fields, and none of `not_in_body`."""
    not_in_body: frozenset[str] = frozenset()


ANY = "*"
RULES = (
    Rule(ANY, re.compile(r"/v1/threads(/.*)?")),
    Rule("POST", re.compile(r"/v1/runs/[^/]+:cancel")),
    Rule("GET", re.compile(r"/v1/runs/[^/]+/events"), accept="text/event-stream"),
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
    """ASGI middleware that moves such requests under the Threads API's base path."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http":
            for rule in RULES:
                if not _fits(rule, scope):
                    continue
                fits = True
                if rule.body:
                    fits, receive = await _body_fits(rule, receive)
                if fits:
                    # In place: also what is around this must know whose request it is.
                    scope["path"] = BASE_PATH + scope["path"]
                    if scope.get("raw_path"):
                        scope["raw_path"] = BASE_PATH.encode() + scope["raw_path"]
                break
        await self._app(scope, receive, send)


def _fits(rule: Rule, scope: Scope) -> bool:
    if rule.method not in (ANY, scope["method"]) or not rule.path.fullmatch(scope["path"]):
        return False
    if rule.accept and rule.accept not in Headers(scope=scope).get("accept", "").lower():
        return False
    if not rule.query:
        return True
    query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return not rule.query.isdisjoint(query) and rule.not_in_query.isdisjoint(query)


async def _body_fits(rule: Rule, receive: Receive) -> tuple[bool, Receive]:
    """Whether the body fits, and how it is received by whoever comes next: from its start."""
    body, messages = b"", []
    more = True
    while more and len(body) <= MAX_BODY_BYTES:
        message = await receive()
        messages.append(message)
        body += message.get("body", b"")
        more = message.get("more_body", False)
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        fields = None
    fits = (
        isinstance(fields, dict)
        and rule.body <= fields.keys()
        and rule.not_in_body.isdisjoint(fields)
    )
    return fits, _replayed(messages, receive)


def _replayed(messages: list[Message], receive: Receive) -> Callable[[], Awaitable[Message]]:
    left = iter(messages)

    async def receive_again() -> Message:
        message = next(left, None)
        return await receive() if message is None else message

    return receive_again
