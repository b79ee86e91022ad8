"""The table of root paths that belong to the Threads API: examples for and against each row."""

import asyncio
import json
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from runyard_service.api.threads.root_paths import RULES, RootPathRewriter, Rule

RUN = "/v1/runs/8c2c8e2e-2f0a-4f4e-9f4f-6e1a52f0a001"
SSE = {"accept": "application/json;q=0.0, text/event-stream"}
BOTH = ("application/json, text/event-stream", "text/event-stream, application/json;q=0.1", "*/*")
CONTENT = {"content": "yes"}
FEEDBACK = {"type": "human_feedback", "data": {"request_id": "x", "feedback": "content"}}

# By row of the table: requests that are rewritten, and similar requests that are not.
EXAMPLES: dict[str, tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]] = {
    r"/v1/threads(/.*)?": (
        [("GET", "/v1/threads"), ("POST", "/v1/threads/t/runs"), ("DELETE", "/v1/threads/t")],
        [("GET", "/v1/threadsafe"), ("GET", "/v2/threads"), ("GET", "/threads/v1/threads")],
    ),
    r"/v1/runs/[^/]+:cancel": (
        [("POST", f"{RUN}:cancel")],
        [("GET", f"{RUN}:cancel"), ("POST", f"{RUN}/cancel"), ("POST", f"{RUN}:pause")],
    ),
    r"/v1/runs/[^/]+/events": (
        [
            ("GET", f"{RUN}/events", "", SSE),
            ("HEAD", f"{RUN}/events", "", SSE),
            ("GET", f"{RUN}/events", "after_seq=3", {"accept": "Text/Event-Stream; q=0.9"}),
        ],
        [
            *(("GET", f"{RUN}/events", "", {"accept": accept}) for accept in BOTH),
            ("GET", f"{RUN}/events"),
            ("GET", f"{RUN}/stream", "", SSE),
            ("GET", RUN, "", SSE),
        ],
    ),
    r"/v1/runs": (
        [("GET", "/v1/runs", "limit=5"), ("GET", "/v1/runs", "status=failed&before=")],
        [
            ("GET", "/v1/runs"),
            ("GET", "/v1/runs", "page=1"),
            ("GET", "/v1/runs", "limit=5&page_size=5"),
            ("POST", "/v1/runs", "limit=5"),
        ],
    ),
    r"/v1/runs/[^/]+/input": (
        [("POST", f"{RUN}/input", "", {}, CONTENT)],
        [
            ("POST", f"{RUN}/input", "", {}, FEEDBACK),
            ("POST", f"{RUN}/input", "", {}, {**FEEDBACK, **CONTENT}),
            ("POST", f"{RUN}/input", "", {}, []),
            ("POST", f"{RUN}/input"),
        ],
    ),
    r"/v1/(personas|routes)": (
        [("GET", "/v1/personas"), ("GET", "/v1/routes")],
        [("POST", "/v1/personas"), ("GET", "/v1/routes/x")],
    ),
}


def rewrite(
    method: str,
    path: str,
    query: str = "",
    headers: dict[str, str] | None = None,
    body: Any = None,
    *,
    has_key: bool = True,
) -> tuple[str, bytes]:
    """Return the path and the body of a request after the rewriter."""
    sent = b"" if body is None else json.dumps(body).encode()
    # The body arrives in several messages and must stay complete.
    pieces = [sent[:5], sent[5:]]
    scope: Scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in (headers or {}).items()],
    }
    seen: list[bytes] = []

    async def receive() -> Message:
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    async def app(_: Scope, receive: Receive, __: Send) -> None:
        more = True
        while more:
            message = await receive()
            seen.append(message["body"])
            more = message["more_body"]

    async def send(_: Message) -> None:
        """Do nothing: the app sends no response."""

    async def is_authentic(_: Scope) -> bool:
        assert len(pieces) == 2, "the body was read before the key"
        return has_key

    asyncio.run(RootPathRewriter(app, is_authentic)(scope, receive, send))
    assert scope["raw_path"] == scope["path"].encode()
    return scope["path"], b"".join(seen)


def test_every_row_has_its_examples() -> None:
    assert [rule.path.pattern for rule in RULES] == list(EXAMPLES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.path.pattern)
def test_a_row_rewrites_its_requests_and_no_others(rule: Rule) -> None:
    moved, left = EXAMPLES[rule.path.pattern]
    for request in moved:
        path, body = rewrite(*request)
        assert path == f"/threads{request[1]}"
        assert body == (json.dumps(request[4]).encode() if len(request) > 4 else b"")
    for request in left:
        path, body = rewrite(*request)
        assert path == request[1]
        assert body == (json.dumps(request[4]).encode() if len(request) > 4 else b"")


def test_the_body_of_a_request_without_a_key_is_not_read() -> None:
    path, body = rewrite("POST", f"{RUN}/input", "", {}, CONTENT, has_key=False)
    assert (path, body) == (f"{RUN}/input", json.dumps(CONTENT).encode())
