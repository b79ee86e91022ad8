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


class FakeMcpServer:
    """Answers of the server: pages of tools, and the result of every call.

    `answer` replaces the response to a call, for what no valid server sends.
    """

    def __init__(
        self,
        *pages: Sequence[Mapping[str, Any]],
        result: Mapping[str, Any] | None = None,
        answer: Callable[[Received, Exchange], None] | None = None,
        **list_fields: Any,
    ) -> None:
        """Set what the server says."""
        self.pages = pages or ([listed("echo")],)
        self._result = result if result is not None else text("ok")
        self._answer = answer or self.answer_call
        self._list_fields = list_fields

    def __call__(self, received: Received, exchange: Exchange) -> None:
        """Answer a request."""
        if received.method != "POST":
            exchange.send(405)
            return
        match received.json["method"]:
            case "tools/call":
                self._answer(received, exchange)
            case "tools/list":
                cursor = received.json["params"].get("cursor", 0)
                send(received, exchange, result=self._page(int(cursor)))
            case _:
                versions = {"resultType": "complete", "supportedVersions": _VERSIONS}
                send(received, exchange, result=versions)

    def answer_call(self, received: Received, exchange: Exchange) -> None:
        """Answer a call of a tool."""
        send(received, exchange, result=self._result)

    def _page(self, number: int) -> dict[str, Any]:
        following = {"nextCursor": str(number + 1)} if number + 1 < len(self.pages) else {}
        return {
            "resultType": "complete",
            "tools": list(self.pages[number]),
            **following,
            **self._list_fields,
        }


def send(received: Received, exchange: Exchange, **outcome: Mapping[str, Any]) -> None:
    """Answer a request with a `result` or an `error`."""
    exchange.send_json(200, {"jsonrpc": "2.0", "id": received.json["id"], **outcome})


def calls(server: LoopbackServer) -> list[dict[str, Any]]:
    """Return the parameters of all calls that the server received."""
    messages = [received.json for received in server.received if received.body]
    return [message["params"] for message in messages if message["method"] == "tools/call"]


def event(message: Mapping[str, Any]) -> bytes:
    """Return a message as an event of a stream."""
    return f"event: message\ndata: {json.dumps(message)}\n\n".encode()
