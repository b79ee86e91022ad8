"""moto's web application on a server with keep-alive connections.

Werkzeug's own handler waits 10 ms and closes each connection, so each call of boto3 needs a new
connection. This handler reads every body completely and sends a length with every response.
"""

import io
import threading
import traceback
from collections.abc import Callable
from typing import Any

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import BaseWSGIServer, make_server

from runyard_dev.emulators.loopback_http import HOST, LocalCallersHandler

_CONNECTION_HEADERS = {"connection", "transfer-encoding", "keep-alive", "server", "date"}


class KeepAliveHandler(LocalCallersHandler, MotoRequestHandler):
    """The handler of one connection: any number of requests, with whole bodies in memory."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # Otherwise a small answer waits 40 ms for the client's ack.

    def handle_expect_100(self) -> bool:
        """Let `run_wsgi` send the 100: http.server would send a second one."""
        return True

    def run_wsgi(self) -> None:
        """Send the response of the application to one request."""
        if self.headers.get("Expect", "").strip().lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.environ = environ = self.make_environ()
        length = int(self.headers.get("Content-Length") or 0)
        if environ.get("wsgi.input_terminated"):  # A chunked body, as make_environ found.
            content = environ["wsgi.input"].read()
        else:
            content = self.rfile.read(length)
        environ["wsgi.input"] = io.BytesIO(content)
        environ["CONTENT_LENGTH"] = str(len(content))
        try:
            status, headers, body = self._call(environ)
        except Exception:  # noqa: BLE001 - an error in moto must not end the connection
            traceback.print_exc()
            status, headers, body = "500 Internal Server Error", [], b""
        self._send(status, headers, body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Print nothing for a request."""

    def _call(self, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
        answer: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> Any:
            answer[:] = [status, headers]
            return body.extend

        body: list[int] = []
        chunks = self.server.app(environ, start_response)
        try:
            content = bytes(body) + b"".join(chunks)
        finally:
            getattr(chunks, "close", lambda: None)()
        return answer[0], answer[1], content

    def _send(self, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
        code, _, reason = status.partition(" ")
        is_head = self.command == "HEAD"
        self.send_response(int(code), reason)
        for name, value in headers:
            has_own_length = name.lower() != "content-length" or is_head
            if name.lower() not in _CONNECTION_HEADERS and has_own_length:
                self.send_header(name, value)
        if not is_head and code not in ("204", "304"):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not is_head:
            self.wfile.write(body)


def serve(port: int, app: Callable[..., Any] | None = None) -> None:
    """Serve moto on loopback until the process ends."""
    application = app or DomainDispatcherApplication(create_backend_app)
    server: BaseWSGIServer = make_server(
        HOST, port, application, threaded=True, request_handler=KeepAliveHandler
    )
    server.socket.listen(512)  # Werkzeug's 128 is too few for 200 runs started at once.
    # `threaded` servers of werkzeug join their threads at the end. These end with the process.
    server.daemon_threads = True  # type: ignore[attr-defined]
    threading.current_thread().name = "moto"
    server.serve_forever()
