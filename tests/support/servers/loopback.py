"""A threaded HTTP/1.1 server on a free loopback port that records its requests."""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True)
class Received:
    """A received request; header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Parse the body as JSON."""
        return json.loads(self.body)


class Exchange:
    """Sends the response to a request."""

    def __init__(self, handler: BaseHTTPRequestHandler) -> None:
        self._handler = handler
        self._chunked = False

    def send(
        self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> None:
        """Send a complete response."""
        self._head(status, {**(headers or {}), "content-length": str(len(body))})
        self._handler.wfile.write(body)

    def send_json(
        self, status: int, body: object, headers: Mapping[str, str] | None = None
    ) -> None:
        """Send a complete JSON response."""
        named = {"content-type": "application/json", **(headers or {})}
        self.send(status, json.dumps(body).encode(), named)

    def start(self, content_type: str, headers: Mapping[str, str] | None = None) -> None:
        """Send the head of a chunked response."""
        named = {"content-type": content_type, "transfer-encoding": "chunked"}
        self._head(200, {**named, **(headers or {})})
        self._chunked = True

    def piece(self, data: bytes) -> None:
        """Send a chunk; it is on the wire when this returns."""
        self._handler.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self._handler.wfile.flush()

    def send_raw(self, data: bytes) -> None:
        """Write these bytes to the connection, without a head or framing."""
        self._handler.wfile.write(data)
        self._handler.wfile.flush()

    def end(self) -> None:
        """End a chunked response."""
        self._handler.wfile.write(b"0\r\n\r\n")

    def cut(self) -> None:
        """Close the connection without an end."""
        self._handler.close_connection = True

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        self._handler.send_response(status)
        for name, value in headers.items():
            self._handler.send_header(name, value)
        self._handler.end_headers()


class LoopbackServer:
    """Serve during the `with` block; `received` has all requests, in order."""

    def __init__(
        self, answer: Callable[[Received, Exchange], None], host: str = "127.0.0.1"
    ) -> None:
        self.received: list[Received] = []
        self._answer = answer
        self._server = ThreadingHTTPServer((host, 0), self._handler_class())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def port(self) -> int:
        """Return the port, which the system chose."""
        return int(self._server.server_address[1])

    @property
    def host_and_port(self) -> str:
        """Return `host:port`, as in a list of allowed private hosts."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Return the URL, without a slash at its end."""
        return f"http://{self.host_and_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler_class(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Headers and body leave in two writes; Nagle would hold the second back for 40 ms.
            disable_nagle_algorithm = True

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                received = Received(self.command, self.path, headers, body)
                server.received.append(received)
                try:
                    server._answer(received, Exchange(self))
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve

            def log_message(self, *args: object) -> None:
                """Log nothing: a test's output is its own."""

        return Handler
