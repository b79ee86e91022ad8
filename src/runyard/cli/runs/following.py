"""Follow a run: write its events, ask a person, and end with the exit code of the run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runyard.cli.errors import describe, note
from runyard.cli.exit_codes import BY_STATUS, ExitCode
from runyard.cli.input_requests.answers import Request, send_decision
from runyard.cli.input_requests.prompts import ask
from runyard.cli.output.console import can_ask
from runyard.cli.output.progress import (
    IdProgress,
    JsonProgress,
    ProgressWriter,
    TabProgress,
    TerminalProgress,
)
from runyard.cli.runs.interrupts import Interrupts, TimeIsUpError
from runyard.cli.session import Mode, Session, api_path
from runyard.verify import TERMINAL_TYPES

_REQUEST_TYPES = frozenset({"approval_request.created", "agent.human_feedback.requested"})


def open_writer(mode: Mode) -> ProgressWriter:
    """Return what writes events in this kind of output."""
    writers: dict[Mode, type[ProgressWriter]] = {
        "json": JsonProgress,
        "pipe": TabProgress,
        "quiet": IdProgress,
        "terminal": TerminalProgress,
    }
    return writers[mode]()


@dataclass
class Follower:
    """Follows one run. `after` is the sequence of the last event that was written."""

    session: Session
    run_id: str
    writer: ProgressWriter
    after: int = 0
    timeout: float | None = None
    waits: bool = False
    """Whether to continue while the run waits for a person who is not here."""
    _seen: set[str] = field(default_factory=set)

    def follow(self) -> ExitCode:
        """Write the events until the run ends, waits for a person, or the time is up."""
        try:
            with Interrupts(self.timeout) as interrupts:
                return self._follow(interrupts)
        except KeyboardInterrupt:
            return self.interrupted()
        except TimeIsUpError:
            return self._leave("The time is up, and the run continues.", ExitCode.TIMEOUT)
        finally:
            self.writer.pause()

    def interrupted(self) -> ExitCode:
        """Return the exit code after Ctrl-C: the run continues."""
        return self._leave("The run continues.", ExitCode.INTERRUPTED)

    def _follow(self, interrupts: Interrupts) -> ExitCode:
        if self.after and (code := self._ask_if_all_is_read()):
            return code
        for each in self.session.client.runs.follow(self.run_id, after=self.after):
            event = each.raw
            with interrupts.delayed():
                self.writer.write(event)
                self.after = event["sequence"]
            if event["type"] in _REQUEST_TYPES:
                self._seen.add(event["data"]["id"])
            elif event["type"] in TERMINAL_TYPES:
                return BY_STATUS[event["type"].removeprefix("run.")]
            elif event["type"] == "run.paused" and (code := self._ask(only_seen=True)):
                return code
        # The stream has nothing more: it ended before `after`.
        return BY_STATUS[self._read_run()["status"]]

    def _ask_if_all_is_read(self) -> ExitCode | None:
        """Ask now if the run waits and `after` is its last event: no event follows then."""
        newest = self.session.get(
            api_path("runs", self.run_id, "events"), sort="-sequence", page_size=1
        ).json["data"]
        is_last = not newest or newest[0]["sequence"] <= self.after
        return self._ask(only_seen=False) if is_last else None

    def _ask(self, *, only_seen: bool) -> ExitCode | None:
        """Ask for answers to the open input requests. Return the exit code if one stays open."""
        self.writer.pause()
        requests = [
            request
            for request in self._read_run().get("input_requests", ())
            if not only_seen or request["id"] in self._seen
        ]
        if not requests:
            return None
        if can_ask():
            is_on_screen = self.session.mode == "terminal" and only_seen and len(requests) == 1
            answered = [self._ask_one(each, has_prompt=not is_on_screen) for each in requests]
            if all(answered):
                return None
        elif self.waits:
            return None
        return self._leave(f"The run waits for a person: {_ways_out(self.run_id, requests)}")

    def _ask_one(self, request: Request, *, has_prompt: bool) -> bool:
        """Ask and send the answer. Return False if the person leaves the input request open."""
        from runyard.client.errors import ApiError, Conflict

        while True:
            decision = ask(request, has_prompt=has_prompt)
            if decision is None:
                return False
            try:
                send_decision(self.session, self.run_id, request, decision)
            except Conflict as error:
                note(f"  closed already{f' by {error.answered_by}' if error.answered_by else ''}")
            except ApiError as error:
                if error.status != 400:
                    raise
                note(f"  {describe(error)}")
                continue
            return True

    def _leave(self, message: str, code: ExitCode = ExitCode.WAITS) -> ExitCode:
        self.writer.pause()
        note(f"{message}\nContinue with: runyard follow {self.run_id} --from {self.after + 1}")
        return code

    def _read_run(self) -> Mapping[str, Any]:
        run: Mapping[str, Any] = self.session.get(api_path("runs", self.run_id)).json["data"]
        return run


def _ways_out(run_id: str, requests: list[Request]) -> str:
    """Return the command that answers the first request."""
    is_approval = requests[0]["type"] == "approval_request"
    chosen = f" --request {requests[0]['id']}" if len(requests) > 1 else ""
    commands = ("approve", "refuse") if is_approval else ("answer",)
    text = "" if is_approval else ' "TEXT"'
    ways = "\n       or: ".join(f"runyard {each} {run_id}{text}{chosen}" for each in commands)
    return f"{requests[0]['prompt']}\nAnswer with: {ways}"
