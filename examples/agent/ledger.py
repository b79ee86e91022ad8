"""A payment service for the example agent, in memory: ledger.py [PORT].

`GET /budget?department=…` returns a department's budget. `POST /payments` pays once per
`Idempotency-Key`.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

BUDGETS = {"sales": 1200, "support": 300}
PAYMENTS: dict[str, dict[str, Any]] = {}


class Ledger(BaseHTTPRequestHandler):
    """The two routes."""

    def do_GET(self) -> None:
        """Return a department's budget in EUR."""
        department = parse_qs(urlsplit(self.path).query).get("department", [""])[0]
        if department in BUDGETS:
            self._respond(200, {"department": department, "budget_eur": BUDGETS[department]})
        else:
            self._respond(404, {"error": f"unknown department {department!r}"})

    def do_POST(self) -> None:
        """Pay an amount; return the first payment again if the key repeats."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        key = self.headers["Idempotency-Key"]
        payment = PAYMENTS.setdefault(key, {"payment_id": f"payment-{len(PAYMENTS) + 1}", **body})
        self._respond(200, payment)

    def _respond(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 9100
    ThreadingHTTPServer(("127.0.0.1", port), Ledger).serve_forever()
