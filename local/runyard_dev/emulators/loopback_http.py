"""A small HTTP/1.1 server on loopback for the Lambda endpoint and the sample services.

It uses a thread per connection, keep-alive connections, and no delay of small writes.
"""

import json
import socketserver
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from runyard_dev.local_callers import find_foreign_caller

HOST = "127.0.0.1"


class LoopbackServer(ThreadingHTTPServer):
    """A server on 127.0.0.1 that accepts hundreds of connections at once."""

    # 200 runs started at once open 200 connections; with the usual queue of 5 most of them would
    # wait a second for TCP's retry.
    request_queue_size = 512
    daemon_threads = True

    def __init__(self, port: int, handler: type["JsonHandler"]) -> None:
        """Bind `port` (0 takes a free one)."""
        super().__init__((HOST, port), handler)

    def server_bind(self) -> None:
        """Bind without the reverse DNS query of HTTPServer, which can take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, int(self.server_address[1])


class LocalCallersHandler(BaseHTTPRequestHandler):
    """A handler that rejects the requests of web pages of other sites."""

    def parse_request(self) -> bool:
        """Return whether the request can be handled; respond 403 to a foreign caller."""
        if not super().parse_request():
            return False
        headers = self.headers
        reason = find_foreign_caller(headers.get_all("Host", []), headers.get_all("Origin", []))
        if reason:
            self.send_error(403, explain=reason)
        return not reason


class JsonHandler(LocalCallersHandler):
    """The handler of one connection. `respond` sends JSON and leaves the connection open."""

    protocol_version = "HTTP/1.1"
    # Headers and body leave in two writes; Nagle would hold back the second one for 40 ms.
    disable_nagle_algorithm = True

    def body(self) -> bytes:
        """Return the whole body of the request; the next request of the connection follows it."""
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def respond(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        """Send `value` as JSON; bytes are sent unchanged."""
        payload = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        for name, text in (headers or {}).items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Print nothing: the log has only errors."""
