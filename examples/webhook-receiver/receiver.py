"""Print every webhook whose signature is valid: receiver.py SECRET [PORT].

Needs standardwebhooks. The secret starts with `whsec_`.
"""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

SECRET = sys.argv[1]
PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 9000
SEEN: set[str] = set()  # In production: a table that forgets an id after two days.


class Receiver(BaseHTTPRequestHandler):
    """Verify, respond, then process."""

    def do_POST(self) -> None:
        """Respond with 204, or with 400 if the signature is not valid."""
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            notification = Webhook(SECRET).verify(body, dict(self.headers.items()))
        except WebhookVerificationError:
            self.send_error(400)
            return
        self.send_response(204)
        self.end_headers()
        # Runyard delivers at least once: the same id is the same delivery.
        delivery_id = self.headers["webhook-id"]
        if delivery_id not in SEEN:
            SEEN.add(delivery_id)
            run_id = notification["data"].get("run_id")
            sys.stdout.write(f"{delivery_id} {notification['type']} {run_id}\n")
            sys.stdout.flush()

    def log_message(self, *args: object) -> None:
        """Print nothing but the webhooks."""


ThreadingHTTPServer(("127.0.0.1", PORT), Receiver).serve_forever()
