"""A loopback server that speaks MCP 2026-07-28 with any content, also invalid content."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.support.servers.loopback import Exchange, LoopbackServer, Received

VALID_SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}}
_VERSIONS = ["2026-07-28"]


def listed(name: str, **fields: Any) -> dict[str, Any]:
    """Return a tool as the server lists it."""
    return {"name": name, "description": "A tool.", "inputSchema": VALID_SCHEMA, **fields}


def text(content: str) -> dict[str, Any]:
    """Return a result that is a text."""
    return {"resultType": "complete", "content": [{"type": "text", "text": content}]}


class McpServer:
    """Answers of the server: pages of tools, and the result of every call.

    `answer` replaces the response to a call, for what no valid server sends.
    """

    def __init__(
        self,
        *pages: Sequence[Mapping[str, Any]],
        result: Mapping[str, Any] | None = None,
        error: Mapping[str, Any] | None = None,
        answer: Callable[[Received, Exchange], None] | None = None,
        **list_fields: Any,
    ) -> None:
        """Set what the server says."""
        self._pages = pages or ([listed("echo")],)
        self._result = result if result is not None else text("ok")
        self._error = error
        self._answer = answer
        self._list_fields = list_fields

    def __call__(self, received: Received, exchange: Exchange) -> None:
        """Answer a request."""
        if received.method != "POST":
            exchange.send(405)
            return
        message = received.json
        if message["method"] == "tools/call" and self._answer:
            self._answer(received, exchange)
            return
        exchange.send_json(200, {"jsonrpc": "2.0", "id": message["id"], **self._outcome(message)})

    def _outcome(self, message: Mapping[str, Any]) -> dict[str, Any]:
        match message["method"]:
            case "server/discover":
                return {"result": {"resultType": "complete", "supportedVersions": _VERSIONS}}
            case "tools/list":
                return {"result": self._page(int(message["params"].get("cursor", 0)))}
            case _ if self._error:
                return {"error": self._error}
            case _:
                return {"result": self._result}

    def _page(self, number: int) -> dict[str, Any]:
        following = {"nextCursor": str(number + 1)} if number + 1 < len(self._pages) else {}
        return {
            "resultType": "complete",
            "tools": list(self._pages[number]),
            **following,
            **self._list_fields,
        }


def calls(server: LoopbackServer) -> list[dict[str, Any]]:
    """Return the parameters of all calls that the server received."""
    messages = [received.json for received in server.received if received.body]
    return [message["params"] for message in messages if message["method"] == "tools/call"]


def event(message: Mapping[str, Any]) -> bytes:
    """Return a message as an event of a stream."""
    return f"event: message\ndata: {json.dumps(message)}\n\n".encode()
