"""A page in Chromium follows a stream and reports each event: with_chromium.py [--client] URL KEY.

It uses the browser's own `EventSource`, or with `--client` the TypeScript client.
"""

import os
import subprocess
import sys
import tempfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

MODULE = Path(__file__).resolve().parents[2] / "clients/typescript/dist/index.js"

# The page reports each event after the previous report, so the order is unchanged.
REPORT = """<!doctype html><script type="module">
  let reports = Promise.resolve();
  const report = (path, body) =>
    reports = reports.then(() => fetch(path, {method: "POST", body}));
"""
EVENT_SOURCE = """
  const source = new EventSource(%(url)r);
  source.onmessage = event => report("/seen", `${event.lastEventId} ${event.data}\\n`);
  source.onerror = () => source.readyState === EventSource.CLOSED && report("/end");
</script>"""
CLIENT = """
  import { Runyard } from "/module.js";
  const [, url, run] = /^(.*)\\/v1\\/runs\\/([^/]+)\\/stream$/.exec(%(url)r);
  try {
    for await (const event of new Runyard({ url, key: %(key)r }).runs.follow(run)) {
      report("/seen", `${event.sequence} ${JSON.stringify(event)}\\n`);
    }
    report("/end");
  } catch (error) {
    report("/failed", `${error.stack}`);
  }
</script>"""

*options, url, key = sys.argv[1:]
PAGE = REPORT + (CLIENT if options else EVENT_SOURCE) % {"url": url, "key": key}
ended, failed = Event(), Event()


class Site(BaseHTTPRequestHandler):
    """The server of the page, at another origin than the service."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Send the page, or the module of the client."""
        if self.path == "/module.js":
            self._answer(200, MODULE.read_bytes(), "text/javascript")
        else:
            self._answer(200 if self.path == "/" else 404, PAGE.encode())

    def do_POST(self) -> None:
        """Write a report of the page to standard output, or to standard error if it failed."""
        output = sys.stderr if self.path == "/failed" else sys.stdout
        output.write(self.rfile.read(int(self.headers["content-length"])).decode())
        output.flush()
        self._answer(204)
        if self.path == "/failed":
            failed.set()
        if self.path != "/seen":
            ended.set()

    def _answer(self, status: int, body: bytes = b"", content_type: str = "text/html") -> None:
        self.send_response(status)
        self.send_header("content-type", f"{content_type}; charset=utf-8")
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
sys.exit(failed.is_set())
