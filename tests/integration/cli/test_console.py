"""`runyard console` signs the browser in, and shows the key to no other user of the machine."""

import stat
import threading
import time
import webbrowser
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from click.testing import CliRunner

from runyard.cli.main import runyard

KEY = "ry_key_of_the_test"


class Console(BaseHTTPRequestHandler):
    """Serves a page at `/console/`."""

    def do_GET(self) -> None:
        """Answer with the page, or with 404."""
        self.send_response(200 if self.path == "/console/" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Write no log."""


@pytest.fixture
def url() -> Iterator[str]:
    """Yield the URL of a service with a console."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Console)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_key_is_only_in_a_file_of_the_user(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []

    def open_browser(address: str) -> bool:
        assert KEY not in address
        page = Path(unquote(urlsplit(address).path))
        assert stat.S_IMODE(page.stat().st_mode) == 0o600
        assert f"{url}/console/#key={KEY}" in page.read_text()
        opened.append(page)
        return True

    monkeypatch.setattr(webbrowser, "open", open_browser)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    variables = {"RUNYARD_URL": url, "RUNYARD_ACCESS_KEY": KEY}
    done = CliRunner().invoke(runyard, ["console"], env=variables)
    assert done.exit_code == 0, done.output
    assert KEY not in done.output
    [page] = opened
    assert not page.exists()
    done = CliRunner().invoke(runyard, ["console", "--print-url"], env=variables)
    assert done.stdout == f"{url}/console/\n"
