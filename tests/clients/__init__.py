"""Clients of streams: stock ones as in the examples, a browser, and the TypeScript client.

Each runs as `CLIENT URL KEY`, follows the stream to its end, reconnects after each cut, and writes
each event as a line `<id> <data>`. A client that sends no headers gets a URL with a ticket.
"""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.support.typescript_client import why_missing

ROOT = Path(__file__).resolve().parents[2]
_NODE_MODULES = ROOT / "examples/javascript/node_modules"


@dataclass(frozen=True)
class StockClient:
    """A client, by its file, and which of the two APIs' streams it follows."""

    file: str
    threads_api: bool = False
    sends_headers: bool = True
    options: tuple[str, ...] = ()
    uses_typescript_client: bool = False

    @property
    def command(self) -> tuple[str, ...]:
        """The command, without the URL and the key that follow it."""
        runner = {".py": sys.executable, ".mjs": "node", ".bash": "bash"}[Path(self.file).suffix]
        return runner, str(ROOT / self.file), *self.options

    @property
    def missing(self) -> str:
        """What to install before the client can run, or an empty string."""
        if self.uses_typescript_client and (reason := why_missing()):
            return reason
        if self.file.endswith(".mjs") and not shutil.which("node"):
            return "needs Node 20 or newer and npm, then make test"
        if (
            self.file.startswith("examples/")
            and self.file.endswith(".mjs")
            and not _NODE_MODULES.is_dir()
        ):
            return "needs its packages: make examples/javascript/node_modules/.installed"
        program = {".bash": "curl"}.get(Path(self.file).suffix, "")
        if self.file.endswith("with_chromium.py"):
            program = "chromium"
        return f"needs Debian's package {program}" if program and not shutil.which(program) else ""


CLIENTS = {
    "curl": StockClient("examples/curl/follow.bash"),
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
    "TypeScript": StockClient("tests/clients/with_typescript.mjs", uses_typescript_client=True),
    "TypeScript in a browser": StockClient(
        "tests/clients/with_chromium.py", options=("--client",), uses_typescript_client=True
    ),
}
