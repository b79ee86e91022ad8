"""Stock Server-Sent Events clients, unmodified, each in the few lines that a user would write.

Every one is called as `CLIENT URL KEY`, follows the stream to its end, coming back whenever it is
cut, and writes each event as a line `<id> <data>`. A client that sends no headers is given a URL
with a ticket.
"""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
_NODE_MODULES = FOLDER / "node_modules"


@dataclass(frozen=True)
class StockClient:
    """A client, by the file that uses it, and which of the two APIs' streams it follows."""

    file: str
    threads_api: bool = False
    sends_headers: bool = True

    @property
    def command(self) -> tuple[str, ...]:
        """What runs it; the URL and the key come behind."""
        runner = {".py": sys.executable, ".mjs": "node", ".bash": "bash"}[Path(self.file).suffix]
        return runner, str(FOLDER / self.file)

    @property
    def missing(self) -> str:
        """What has to be installed before it can run; empty where it can."""
        if self.file.endswith(".mjs") and not shutil.which("node"):
            return "needs Node 20 or newer and npm, then make test"
        if self.file.endswith(".mjs") and not _NODE_MODULES.is_dir():
            return "needs its packages: make tests/clients/node_modules/.installed"
        program = {"with_curl.bash": "curl", "with_chromium.py": "chromium"}.get(self.file)
        return f"needs Debian's package {program}" if program and not shutil.which(program) else ""


CLIENTS = {
    "curl": StockClient("with_curl.bash"),
    "httpx-sse": StockClient("with_httpx_sse.py"),
    "requests-sse": StockClient("with_requests_sse.py"),
    "sseclient-py": StockClient("with_sseclient_py.py", threads_api=True),
    "eventsource": StockClient("with_eventsource.mjs", threads_api=True, sends_headers=False),
    "fetch-event-source": StockClient("with_fetch_event_source.mjs"),
    "a browser": StockClient("with_chromium.py", threads_api=True, sends_headers=False),
}
