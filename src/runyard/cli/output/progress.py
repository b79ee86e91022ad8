"""Write the events of a run as they arrive: one writer for each kind of output."""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from runyard.cli.output.console import (
    can_animate,
    cell,
    choose,
    open_console,
    print_hanging,
    symbol,
)
from runyard.cli.output.escape import (
    compact_json,
    escape,
    escape_lines,
    indented_json,
)
from runyard.cli.output.timeline import Row, Timeline, agent_name, format_duration

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status

_NAME_WIDTH = 18
_DURATION_WIDTH = 8
_INDENT = "  "


class ProgressWriter(Protocol):
    """Writes the events of a run."""

    def start(self, run: Mapping[str, Any]) -> None:
        """Write what the run is, before its events."""

    def write(self, event: Mapping[str, Any]) -> None:
        """Write an event."""

    def pause(self) -> None:
        """Stop all motion on the terminal: an input request or a message follows."""


class TerminalProgress:
    """Rows for a person, with the text of the model as it arrives."""

    _has_header = True
    _without_row: frozenset[str] = frozenset()

    def __init__(self, file: TextIO | None = None, width: int | None = None) -> None:
        self._file = file or sys.stdout
        self._console: Console = open_console(self._file, width)
        self._timeline = Timeline()
        self._status: Status | None = None
        self._text = ""  # The text of the response, as far as it has arrived.
        self._column_is_zero = True
        self._last_text = ""  # The text of the previous response.

    def start(self, run: Mapping[str, Any]) -> None:
        """Write the header."""
        if self._has_header:
            bullet = choose(self._file, "●", "*")
            header = escape(f"{bullet} {run['id']}  {agent_name(run)}".rstrip())
            self._console.print(header, soft_wrap=True)
        self._spin()

    def write(self, event: Mapping[str, Any]) -> None:
        """Write the row of an event, or a piece of text."""
        row = self._timeline.row(event)
        if event["type"] == "agent.response.delta":
            self._write_text(event["data"]["delta"])
            return
        if event["type"] == "agent.message.completed":
            self._finish_text(event["data"].get("content") or "")
        if row is not None and event["type"] not in self._without_row:
            self.pause()
            self._write_row(row)
        if event["type"] == "run.completed":
            self.pause()
            self._write_output(event["data"].get("output") or {})
        elif event["type"] not in ("run.failed", "run.canceled"):
            self._spin()

    def pause(self) -> None:
        """Stop the spinner and end the current line."""
        if self._status is not None:
            self._status.stop()
            self._status = None
        if not self._column_is_zero:
            self._out("\n")

    def _spin(self) -> None:
        if not can_animate(self._file) or not self._column_is_zero:
            return
        if self._status is None:
            self._status = self._console.status(escape(self._timeline.activity))
            self._status.start()
        else:
            self._status.update(escape(self._timeline.activity))

    def _write_text(self, delta: str) -> None:
        if not self._text:
            self.pause()
            self._out(_INDENT)
        self._text += delta
        self._out(escape_lines(delta).replace("\n", "\n" + _INDENT))

    def _finish_text(self, content: str) -> None:
        """Write the text of a response whose deltas were not sent."""
        if content and not self._text:
            self._write_text(content)
        self._last_text, self._text = content, ""

    def _write_row(self, row: Row) -> None:
        from rich.text import Text

        duration = "" if row.duration_ms is None else format_duration(row.duration_ms)
        line = Text.assemble(symbol(row.kind, self._file))
        line.append(f" {cell(row.name, _NAME_WIDTH, self._file)} {duration:>{_DURATION_WIDTH}}")
        if row.kind == "waits":  # A person must be able to read the whole input request.
            print_hanging(self._console, line.append("  "), escape(row.detail))
            return
        line.append(f"  {escape(row.detail)}", style="dim")
        line.rstrip()
        line.truncate(self._console.width, overflow="ellipsis")
        self._console.print(line, soft_wrap=True)

    def _write_output(self, output: Mapping[str, Any]) -> None:
        """Write the output of the run, unless it is the text that is already on the screen."""
        text = output.get("content")
        if set(output) == {"content"} and isinstance(text, str):
            if text != self._last_text:
                self._out(escape_lines(text) + "\n")
        else:
            self._out(indented_json(output) + "\n")

    def _out(self, text: str) -> None:
        self._file.write(text)
        self._file.flush()
        self._column_is_zero = text.endswith("\n")


class ChatProgress(TerminalProgress):
    """Only the text of the model, its calls and its input requests."""

    _has_header = False
    _without_row = frozenset({"agent.message.completed", "run.completed"})


class TabProgress:
    """Rows for a program: sequence, time, type, name and detail, separated by tabs."""

    def __init__(self) -> None:
        self._timeline = Timeline()

    def start(self, run: Mapping[str, Any]) -> None:
        """Write nothing: `run.started` has the id of the run."""

    def write(self, event: Mapping[str, Any]) -> None:
        """Write the row of an event; a delta has none."""
        row = self._timeline.row(event)
        if event["type"].endswith(".delta"):
            return
        tool = event["data"].get("tool") or {}
        name, detail = (row.name, row.detail) if row else (tool.get("name", ""), "")
        if event["type"] == "run.completed":
            detail = compact_json(event["data"].get("output"))
        elif event["type"] == "run.started":
            detail = event["data"]["id"]
        fields = (str(event["sequence"]), event["timestamp"], event["type"], name, detail)
        print("\t".join(map(escape, fields)), flush=True)

    def pause(self) -> None:
        """Do nothing."""


class JsonProgress:
    """The events as the API sends them: one JSON object a line."""

    def start(self, run: Mapping[str, Any]) -> None:
        """Write nothing."""

    def write(self, event: Mapping[str, Any]) -> None:
        """Write the event."""
        print(compact_json(event), flush=True)

    def pause(self) -> None:
        """Do nothing."""


class IdProgress:
    """Only the id of the run."""

    def start(self, run: Mapping[str, Any]) -> None:
        """Write the id."""
        print(escape(run["id"]), flush=True)

    def write(self, event: Mapping[str, Any]) -> None:
        """Write nothing."""

    def pause(self) -> None:
        """Do nothing."""
