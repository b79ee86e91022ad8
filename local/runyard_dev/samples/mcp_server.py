"""A small MCP server in plain Python: the shop that a sample agent asks about orders.

It speaks version 2026-07-28 of the protocol, in which each POST is complete in itself.
`find_orders` reads. `open_return` first asks a person for the reason, then opens one return for
each `idempotencyKey`.
"""

import threading
from collections.abc import Mapping
from typing import Any

VERSION = "2026-07-28"
_METHOD_NOT_FOUND, _INVALID_PARAMS = -32601, -32602
_IDEMPOTENCY_META = "runyard/idempotencyKey"
_ORDER_STATES = {"4812": "delivered", "4813": "on its way"}

_ORDER_ID = {"type": "string", "description": "The number of the order, such as 4812."}
_TOOLS: list[dict[str, Any]] = [
    {
        "name": "find_orders",
        "description": "The newest orders of a customer, with their states.",
        "inputSchema": {
            "type": "object",
            "properties": {"customer_id": {"type": "string"}},
            "required": ["customer_id"],
        },
        "outputSchema": {
            "type": "object",
            "properties": {
                "orders": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {"order_id": _ORDER_ID, "state": {"type": "string"}},
                        "required": ["order_id", "state"],
                    },
                }
            },
            "required": ["orders"],
        },
        "annotations": {"readOnlyHint": True},
    },
    {
        "name": "open_return",
        "description": "Opens a return for an order. The shop asks a person for the reason.",
        "inputSchema": {
            "type": "object",
            "properties": {"order_id": _ORDER_ID},
            "required": ["order_id"],
        },
        "annotations": {"idempotentHint": True},
    },
]
_REASONS = {
    "type": "object",
    "properties": {
        "reason": {"type": "string", "enum": ["damaged", "wrong item", "not needed"]},
        "comment": {"type": "string"},
    },
    "required": ["reason"],
}


class SampleMcpServer:
    """The answers of the server, and the returns that it has opened."""

    def __init__(self) -> None:
        """Start without returns."""
        self._lock = threading.Lock()
        self._returns: dict[str, str] = {}

    def answer(self, message: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Return the HTTP status and the JSON-RPC response to a request."""
        params = message.get("params") or {}
        result: dict[str, Any]
        match message.get("method"):
            case "server/discover":
                result = {"supportedVersions": [VERSION], "capabilities": {"tools": {}}}
            case "tools/list":
                result = {"tools": _TOOLS, "ttlMs": 60_000, "cacheScope": "public"}
            case "tools/call" if params.get("name") == "find_orders":
                result = self._find_orders()
            case "tools/call" if params.get("name") == "open_return":
                result = self._open_return(params)
            case "tools/call":
                return _error(message, 400, _INVALID_PARAMS, f"Unknown tool: {params.get('name')}")
            case _:
                return _error(message, 404, _METHOD_NOT_FOUND, "There is no such method.")
        complete = {"resultType": "complete", **result}
        return 200, {"jsonrpc": "2.0", "id": message.get("id"), "result": complete}

    def _find_orders(self) -> dict[str, Any]:
        orders = [{"order_id": order, "state": state} for order, state in _ORDER_STATES.items()]
        return {"structuredContent": {"orders": orders}, "content": []}

    def _open_return(self, params: Mapping[str, Any]) -> dict[str, Any]:
        order = str((params.get("arguments") or {}).get("order_id", ""))
        if order not in _ORDER_STATES:
            return {"isError": True, **_text(f"There is no order {order!r}.")}
        responses = params.get("inputResponses") or {}
        if "reason" not in responses:
            asked = {"message": f"Why is order {order} returned?", "requestedSchema": _REASONS}
            request = {"method": "elicitation/create", "params": {"mode": "form", **asked}}
            return {"resultType": "input_required", "inputRequests": {"reason": request}}
        if responses["reason"].get("action") != "accept":
            return _text("No return was opened: no reason was given.")
        key = str((params.get("_meta") or {}).get(_IDEMPOTENCY_META, len(self._returns)))
        with self._lock:
            number = self._returns.setdefault(key, f"return-{len(self._returns) + 1}")
        return _text(f"{number} for order {order}: {responses['reason']['content']['reason']}")


def _text(text: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}]}


def _error(
    message: Mapping[str, Any], status: int, code: int, text: str
) -> tuple[int, dict[str, Any]]:
    error = {"code": code, "message": text}
    return status, {"jsonrpc": "2.0", "id": message.get("id"), "error": error}
