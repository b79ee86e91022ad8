"""Clients of Server-Sent Events: the examples, unmodified, and a browser.

Each runs as `CLIENT URL KEY`, follows the stream to its end, reconnects after each cut, and writes
each event as a line `<id> <data>`. A client that sends no headers gets a URL with a ticket.
"""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_NODE_MODULES = ROOT / "examples/javascript/node_modules"


@dataclass(frozen=True)
class StockClient:
    """A client, by its file, and which of the two APIs' streams it follows."""

    file: str
    threads_api: bool = False
    sends_headers: bool = True

    @property
    def command(self) -> tuple[str, ...]:
        """The command, without the URL and the key that follow it."""
        runner = {".py": sys.executable, ".mjs": "node", ".bash": "bash"}[Path(self.file).suffix]
        return runner, str(ROOT / self.file)

    @property
    def missing(self) -> str:
        """What to install before the client can run, or an empty string."""
        if self.file.endswith(".mjs") and not shutil.which("node"):
            return "needs Node 20 or newer and npm, then make test"
        if self.file.endswith(".mjs") and not _NODE_MODULES.is_dir():
            return "needs its packages: make examples/javascript/node_modules/.installed"
        program = {".bash": "curl"}.get(Path(self.file).suffix, "")
        if self.file.endswith("with_chromium.py"):
            program = "chromium"
        return f"needs Debian's package {program}" if program and not shutil.which(program) else ""


CLIENTS = {
    "curl": StockClient("examples/curl/follow.bash"),
    "runyard": StockClient("examples/python/follow_runyard.py"),
    "runyard on asyncio": StockClient("examples/python/follow_runyard_async.py"),
    "httpx-sse": StockClient("examples/python/follow_httpx_sse.py"),
    "requests-sse": StockClient("examples/python/follow_requests_sse.py"),
    "sseclient-py": StockClient("examples/python/follow_sseclient_py.py", threads_api=True),
    "eventsource": StockClient(
        "examples/javascript/eventsource.mjs", threads_api=True, sends_headers=False
    ),
    "fetch-event-source": StockClient("examples/javascript/fetch_event_source.mjs"),
    "a browser": StockClient(
        "tests/clients/with_chromium.py", threads_api=True, sends_headers=False
    ),
}
