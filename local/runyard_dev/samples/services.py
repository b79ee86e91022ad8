"""The services that the sample agents call: customers and refunds, in memory.

`GET /customers/{id}`, `POST /refunds` (once per `Idempotency-Key`), `GET /refunds`. `/mcp` is the
MCP server of `mcp_server.py`.
"""

import argparse
import hashlib
import json
import threading
from typing import Any
from urllib.parse import unquote, urlsplit

from runyard_dev.emulators.loopback_http import JsonHandler, LoopbackServer
from runyard_dev.samples.mcp_server import SampleMcpServer

_TIERS = ("free", "pro", "enterprise")


def customer(customer_id: str) -> dict[str, Any] | None:
    """Return the record of a customer. The same id always has the same record."""
    if not customer_id.startswith("customer-"):
        return None
    if customer_id == "customer-7421":  # The customer in the documentation.
        return {"customer_tier": "pro", "open_tickets": 2}
    digest = hashlib.sha256(customer_id.encode()).digest()
    return {"customer_tier": _TIERS[digest[0] % 3], "open_tickets": digest[1] % 5}


class Refunds:
    """Refunds by idempotency key. A repeated key returns the first response."""

    def __init__(self) -> None:
        """Start without refunds."""
        self._lock = threading.Lock()
        self._by_key: dict[str, dict[str, Any]] = {}

    def make(self, key: str, order_id: str, amount: Any) -> dict[str, Any]:
        """Create a refund once for each key, and count the calls."""
        with self._lock:
            refund = self._by_key.setdefault(
                key,
                {
                    "refund_id": f"refund-{len(self._by_key) + 1}",
                    "status": "refunded",
                    "order_id": order_id,
                    "amount": amount,
                    "idempotency_key": key,
                    "calls": 0,
                },
            )
            refund["calls"] += 1
            return {"refund_id": refund["refund_id"], "status": refund["status"]}

    def all(self) -> list[dict[str, Any]]:
        """Return all refunds, oldest first."""
        with self._lock:
            return [dict(refund) for refund in self._by_key.values()]


class SampleHandler(JsonHandler):
    """The routes of the sample services."""

    refunds = Refunds()
    mcp = SampleMcpServer()

    def do_GET(self) -> None:
        """Look up a customer, or list the refunds."""
        path = unquote(urlsplit(self.path).path)
        if path == "/refunds":
            self.respond(200, {"refunds": self.refunds.all()})
        elif path == "/customers/customer-503":
            self.respond(
                503, {"error": "unavailable", "message": "The register is being maintained."}
            )
        elif path.startswith("/customers/") and (found := customer(path.split("/", 2)[2])):
            self.respond(200, found)
        else:
            self.respond(404, {"error": "not_found", "message": f"Nothing is known of {path}."})

    def do_POST(self) -> None:
        """Refund an order, or answer a message of MCP."""
        raw = self.body()
        if urlsplit(self.path).path == "/mcp":
            self._answer_mcp(raw)
            return
        if urlsplit(self.path).path != "/refunds":
            self.respond(404, {"error": "not_found", "message": "There is no such route."})
            return
        key = self.headers.get("Idempotency-Key", "")
        try:
            order = json.loads(raw)
            order_id, amount = str(order["order_id"]), order["amount"]
        except (ValueError, KeyError, TypeError):
            self.respond(
                400, {"error": "bad_request", "message": "order_id and amount are needed."}
            )
            return
        if not key:
            self.respond(400, {"error": "bad_request", "message": "Idempotency-Key is needed."})
            return
        self.respond(200, self.refunds.make(key, order_id, amount))

    def _answer_mcp(self, raw: bytes) -> None:
        try:
            message = json.loads(raw)
            status, answer = self.mcp.answer(message)
        except (ValueError, AttributeError, TypeError):
            self.respond(400, {"error": "bad_request", "message": "This is no MCP request."})
            return
        self.respond(status, answer)


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    LoopbackServer(parser.parse_args().port, SampleHandler).serve_forever()


if __name__ == "__main__":
    main()
