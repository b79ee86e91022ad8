"""A fake MCP server of the protocol 2026-07-28, whose effects and requests tests count.

It has no state: the state of a call is in the `requestState` that it sends, and it can forget how
to read it. Use it as the `answer` of a LoopbackServer.
"""

import base64
import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from tests.support.servers.loopback import Exchange, Received

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
SEAT_FORM = {
    "type": "object",
    "properties": {"seat": {"type": "string", "enum": ["aisle", "window"]}},
    "required": ["seat"],
}
TEXT = {"type": "object", "properties": {"text": {"type": "string"}}}


def tool(name: str, **fields: Any) -> dict[str, Any]:
    """Return a tool as the server lists it."""
    return {"name": name, "description": f"Does {name}.", "inputSchema": TEXT, **fields}


READ_ONLY = {"readOnlyHint": True}
TOOLS = (
    tool("search", annotations=READ_ONLY),
    tool("charge"),
    tool("book"),
    tool("sign"),
    tool("again"),
    tool("draw", annotations=READ_ONLY),
    tool("count", annotations=READ_ONLY),
)


class FakeMcpServer:
    """Answer requests; `effects` counts what `charge`, `book` and `sign` did, by the call's key.

    `during_effect` runs once, in the middle of the next effect.
    """

    def __init__(self) -> None:
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

    def __call__(self, request: Received, exchange: Exchange) -> None:
        """Answer one request."""
        if self.failures:
            exchange.send(self.failures.pop(0))
            return
        message = request.json
        id_ = message["id"]
        if message["method"] == "tools/list":
            self.lists += 1
            _send(exchange, id_, {"tools": self.tools, "ttlMs": 0})
            return
        params = message["params"]
        self.calls.append(params)
        if params["name"] == "count":
            _count(exchange, id_, params["_meta"]["progressToken"])
            return
        key = request.headers.get("idempotency-key", "")
        _send(exchange, id_, *self._called(params, key))

    def _called(
        self, params: Mapping[str, Any], key: str
    ) -> tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]:
        """Return the result and the error of a call."""
        name = params["name"]
        if name == "search":
            return _text(f"found {params['arguments'].get('text', '')}"), None
        if name == "draw":
            image = {"data": base64.b64encode(PIXEL).decode(), "mimeType": "image/png"}
            return {"content": [{"type": "image", **image}]}, None
        if name == "charge":
            return _text(f"charged {self._effect(key)}"), None
        if name == "again":
            return self._required(), None
        if name in ("book", "sign"):
            return self._asked(params, key)
        return None, {"code": -32602, "message": f"Unknown tool: {name}"}

    def _asked(
        self, params: Mapping[str, Any], key: str
    ) -> tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]:
        state, responses = params.get("requestState"), params.get("inputResponses")
        if responses is None:
            return self._required(), None
        if state != f"state-{self.epoch}":
            data = {"reason": "invalid_request_state"}
            return None, {"code": -32602, "message": "Invalid state", "data": data}
        actions = [response["action"] for response in responses.values()]
        if set(actions) != {"accept"}:
            return _text(f"not done: {' '.join(actions)}"), None
        answers = json.dumps([response.get("content") for response in responses.values()])
        return _text(f"done {self._effect(key)} {answers}"), None

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
        _piece(exchange, {"method": "notifications/progress", "params": progress})
    _piece(exchange, {"id": id_, "result": _text("counted")})
    exchange.end()


def _piece(exchange: Exchange, message: Mapping[str, Any]) -> None:
    text = json.dumps({"jsonrpc": "2.0", **message})
    exchange.piece(f"event: message\ndata: {text}\n\n".encode())


def _send(
    exchange: Exchange,
    id_: int,
    result: Mapping[str, Any] | None,
    error: Mapping[str, Any] | None = None,
) -> None:
    outcome = {"error": error} if error else {"result": result}
    exchange.send_json(200, {"jsonrpc": "2.0", "id": id_, **outcome})


def _text(text: str) -> Mapping[str, Any]:
    return {"content": [{"type": "text", "text": text}]}
