"""A browser's own `EventSource` (Chromium): a page opens the stream and reports each event."""

import os
import subprocess
import sys
import tempfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

# The page reports each event after the previous report, so the order is unchanged.
PAGE = """<!doctype html><script>
  const source = new EventSource(%r);
  let reports = Promise.resolve();
  const report = (path, body) =>
    reports = reports.then(() => fetch(path, {method: "POST", body}));
  source.onmessage = event => report("/seen", `${event.lastEventId} ${event.data}\\n`);
  source.onerror = () => source.readyState === EventSource.CLOSED && report("/end");
</script>"""

url = sys.argv[1]
ended = Event()


class Site(BaseHTTPRequestHandler):
    """The server of the page, at another origin than the service."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Send the page."""
        self._answer(200 if self.path == "/" else 404, (PAGE % url).encode())

    def do_POST(self) -> None:
        """Write a report of the page to standard output."""
        sys.stdout.write(self.rfile.read(int(self.headers["content-length"])).decode())
        sys.stdout.flush()
        self._answer(204)
        if self.path == "/end":
            ended.set()

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("content-type", "text/html; charset=utf-8")
        if status != 204:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body if status != 204 else b"")

    def log_message(self, *args: object) -> None:
        """Log nothing: standard output is for the events."""


site = ThreadingHTTPServer(("127.0.0.1", 0), Site)
Thread(target=site.serve_forever, daemon=True).start()
with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
    browser = subprocess.Popen(
        [
            *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
            *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
            *("--disable-sync", "--remote-debugging-port=0", f"--user-data-dir={folder}"),
            f"http://127.0.0.1:{site.server_port}/",
        ],
        env={**os.environ, "HOME": folder},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    ended.wait()
    browser.terminate()
    browser.wait()
