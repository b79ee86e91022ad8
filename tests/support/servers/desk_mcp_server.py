"""A fake MCP server with tools of several kinds, whose effects and requests tests count.

It has no state: the state of a call is in the `requestState` that it sends, and it can forget how
to read it.
"""

import base64
import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from tests.support.servers.fake_mcp_server import FakeMcpServer, event, listed, send, text
from tests.support.servers.loopback import Exchange, Received

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
SEAT_FORM = {
    "type": "object",
    "properties": {"seat": {"type": "string", "enum": ["aisle", "window"]}},
    "required": ["seat"],
}
READ_ONLY = {"readOnlyHint": True}
TOOLS = (
    listed("search", annotations=READ_ONLY),
    listed("charge"),
    listed("book"),
    listed("sign"),
    listed("again"),
    listed("draw", annotations=READ_ONLY),
    listed("count", annotations=READ_ONLY),
)


class DeskMcpServer(FakeMcpServer):
    """Answer requests; `effects` counts what `charge`, `book` and `sign` did, by the call's key.

    `failures` are the HTTP statuses of the next responses. `during_effect` runs once, in the middle
    of the next effect.
    """

    def __init__(self) -> None:
        super().__init__(ttlMs=0)
        self.tools = list(TOOLS)
        self.effects: Counter[str] = Counter()
        self.lists = 0
        self.calls: list[Mapping[str, Any]] = []
        self.required = {"seat": {"message": "Which seat?", "requestedSchema": SEAT_FORM}}
        self.epoch = 1
        self.failures: list[int] = []
        self.during_effect: Callable[[], None] | None = None

    def forget_states(self) -> None:
        """Reject all states that were sent before, as a server whose states expire."""
        self.epoch += 1

    def __call__(self, received: Received, exchange: Exchange) -> None:
        """Answer one request."""
        if self.failures:
            exchange.send(self.failures.pop(0))
            return
        if received.json["method"] == "tools/list":
            self.lists += 1
            self.pages = (self.tools,)
        super().__call__(received, exchange)

    def answer_call(self, received: Received, exchange: Exchange) -> None:
        """Answer a call of a tool."""
        params = received.json["params"]
        self.calls.append(params)
        if params["name"] == "count":
            _count(exchange, received.json["id"], params["_meta"]["progressToken"])
            return
        key = received.headers.get("idempotency-key", "")
        send(received, exchange, **self._outcome(params, key))

    def _outcome(self, params: Mapping[str, Any], key: str) -> dict[str, Mapping[str, Any]]:
        """Return the `result` or the `error` of a call."""
        match params["name"]:
            case "search":
                return {"result": text(f"found {params['arguments'].get('text', '')}")}
            case "draw":
                image = {"data": base64.b64encode(PIXEL).decode(), "mimeType": "image/png"}
                return {"result": {"content": [{"type": "image", **image}]}}
            case "charge":
                return {"result": text(f"charged {self._effect(key)}")}
            case "again":
                return {"result": self._required()}
            case "book" | "sign":
                return self._asked(params, key)
            case name:
                return {"error": {"code": -32602, "message": f"Unknown tool: {name}"}}

    def _asked(self, params: Mapping[str, Any], key: str) -> dict[str, Mapping[str, Any]]:
        state, responses = params.get("requestState"), params.get("inputResponses")
        if responses is None:
            return {"result": self._required()}
        if state != f"state-{self.epoch}":
            data = {"reason": "invalid_request_state"}
            return {"error": {"code": -32602, "message": "Invalid state", "data": data}}
        actions = [response["action"] for response in responses.values()]
        if set(actions) != {"accept"}:
            return {"result": text(f"not done: {' '.join(actions)}")}
        answers = json.dumps([response.get("content") for response in responses.values()])
        return {"result": text(f"done {self._effect(key)} {answers}")}

    def _required(self) -> Mapping[str, Any]:
        requests = {
            key: {"method": "elicitation/create", "params": params}
            for key, params in self.required.items()
        }
        state = f"state-{self.epoch}"
        return {"resultType": "input_required", "inputRequests": requests, "requestState": state}

    def _effect(self, key: str) -> int:
        if self.during_effect:
            act, self.during_effect = self.during_effect, None
            act()
        self.effects[key] += 1
        return self.effects[key]


def _count(exchange: Exchange, id_: int, token: str) -> None:
    """Report progress three times, then send the result."""
    exchange.start("text/event-stream")
    for number in (1, 2, 3):
        progress = {"progressToken": token, "progress": number, "total": 3, "message": "so far"}
        method = "notifications/progress"
        exchange.piece(event({"jsonrpc": "2.0", "method": method, "params": progress}))
    exchange.piece(event({"jsonrpc": "2.0", "id": id_, "result": text("counted")}))
    exchange.end()
