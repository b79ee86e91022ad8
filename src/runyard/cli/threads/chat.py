"""A chat: each message starts a run, which answers with the next message of the thread."""

import sys
from dataclasses import dataclass
from typing import Any

from runyard.cli.errors import note
from runyard.cli.exit_codes import ExitCode
from runyard.cli.input_requests.prompts import read_line
from runyard.cli.output.progress import ChatProgress, ProgressWriter
from runyard.cli.runs.following import Follower, open_writer
from runyard.cli.session import Session, api_path


@dataclass
class ChatFollower(Follower):
    """Follows the run of a message; Ctrl-C cancels the run."""

    def interrupted(self) -> ExitCode:
        """Cancel the run. A second Ctrl-C leaves the chat at once."""
        self.writer.pause()
        self.session.send("POST", f"/threads/v1/runs/{self.run_id}:cancel", body={})
        note("stopped")
        return ExitCode.CANCELED


@dataclass
class Chat:
    """A chat in a thread. `persona` answers; None is the default one."""

    session: Session
    thread_id: str
    persona: str | None

    def talk(self) -> ExitCode:
        """Read messages and print the answers until the end of the input."""
        while True:
            line = read_line("> " if sys.stdin.isatty() else "")
            if line is None:
                return ExitCode.COMPLETED
            if not line:
                continue
            code = self._send(line)
            if code == ExitCode.WAITS or (code and not sys.stdin.isatty()):
                return code

    def _send(self, text: str) -> ExitCode:
        """Send a message, start a run, and follow it."""
        path = api_path("threads", self.thread_id, base="/threads/v1")
        self.session.send("POST", f"{path}/messages", body={"content": text})
        body: dict[str, Any] = {"persona_id": self.persona} if self.persona else {}
        run_id = self.session.send("POST", f"{path}/runs", body=body).json["run_id"]
        writer = self._writer()
        writer.start({"id": run_id})
        return ChatFollower(self.session, run_id, writer).follow()

    def _writer(self) -> ProgressWriter:
        is_text = self.session.mode in ("terminal", "pipe")
        return ChatProgress(sys.stdout) if is_text else open_writer(self.session.mode)
