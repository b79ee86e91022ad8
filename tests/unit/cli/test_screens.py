"""The screens of `runyard run` and of the lists, as files: terminals of 80 and 140 columns.

`UPDATE_SCREENS=1` writes the files again; read the difference before you commit it.
"""

import io
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

import pytest

from runyard.cli.output.progress import ChatProgress, TerminalProgress
from runyard.cli.output.tables import print_fields, print_table

SCREENS = Path(__file__).with_name("screens")
RUN = {"id": "327bdb7f-54b5-4d1f-8f0e-2f6fb4f3a0a1", "agent": "support_triage@1"}
ATTACK = "\x1b[2J\x1b[1A\x9b31m\r\x08\u202eevil"
SGR = re.compile(r"\x1b\[[0-9;]*m")


class TerminalFile(io.StringIO):
    """A file that says that it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        """Return True."""
        return True


def _event(sequence: int, seconds: float, type_: str, **data: Any) -> dict[str, Any]:
    return {
        "id": f"00000000-0000-4000-8000-{sequence:012}",
        "type": type_,
        "sequence": sequence,
        "timestamp": f"2026-11-28T15:27:{seconds:06.3f}Z",
        "data": data,
    }


def _call(name: str, **fields: Any) -> dict[str, Any]:
    return {"id": f"call-{name}", "tool": {"name": name, "type": "http-api-call"}, **fields}


CUSTOMER = {"customer_id": "customer-7421"}
REFUND = {"order_id": "4812", "amount": 49}
OUTPUT = {"category": "billing", "suggested_reply": f"Hello\n{ATTACK}"}
EVENTS = [
    _event(1, 1.0, "run.started", id=RUN["id"]),
    _event(2, 1.1, "agent.reasoning.delta", delta="The ", iteration=1),
    _event(
        3,
        1.21,
        "agent.message.completed",
        iteration=1,
        content="",
        usage={"input_tokens": 9, "output_tokens": 13},
    ),
    _event(4, 1.22, "agent.tool_call.started", **_call("lookup-customer", input=CUSTOMER)),
    _event(
        5,
        1.486,
        "agent.tool_call.completed",
        **_call("lookup-customer", input=CUSTOMER, result=f'{{"tier": "{ATTACK}"}}'),
    ),
    _event(6, 1.5, "agent.response.delta", delta="The second charge\nshould ", iteration=2),
    _event(7, 1.6, "agent.response.delta", delta=f"go back.{ATTACK}", iteration=2),
    _event(
        8,
        1.7,
        "agent.message.completed",
        iteration=2,
        content=f"The second charge\nshould go back.{ATTACK}",
        usage={"input_tokens": 20, "output_tokens": 9},
    ),
    _event(9, 1.71, "agent.tool_call.started", **_call("refund", input=REFUND)),
    _event(
        10,
        1.72,
        "approval_request.created",
        id="request-1",
        prompt=f"Refund 49 for order 4812?{ATTACK}",
        params=REFUND,
        editable_params=["amount"],
        tool={"name": "refund", "type": "http-api-call"},
    ),
    _event(11, 1.72, "run.paused", id=RUN["id"], status="paused"),
    _event(
        12,
        9.0,
        "approval_request.resolved",
        id="request-1",
        is_approved=True,
        proposed_params=REFUND,
        effective_params={**REFUND, "amount": 45},
        answered_by="jo@example.com",
    ),
    _event(13, 9.1, "run.resumed", id=RUN["id"]),
    _event(
        14,
        9.4,
        "agent.tool_call.failed",
        **_call("refund", input=REFUND, error={"code": "http_503", "message": ATTACK}),
    ),
    _event(
        15,
        9.5,
        "run.retrying",
        what="model",
        attempt=2,
        code="http_429",
        next_at="15:28Z",
    ),
    _event(16, 9.6, "run.recovered", id=RUN["id"], reason="model_interrupted", attempt=1),
    _event(17, 9.7, "a.type.of.the.future", x=ATTACK),
    _event(
        18,
        125.0 - 100,
        "run.completed",
        output=OUTPUT,
        usage={
            "input_tokens": 82,
            "output_tokens": 22,
            "cost_usd": 0.00213,
            "duration_ms": 24_000,
        },
    ),
]


def draw_run(file: TextIO, width: int) -> None:
    """Write all events of the sample."""
    progress = TerminalProgress(file, width)
    progress.start(RUN)
    for event in EVENTS:
        progress.write(event)
    progress.pause()


def draw_chat(file: TextIO, width: int) -> None:
    """Write the same events as an answer in a chat."""
    progress = ChatProgress(file, width)
    progress.start(RUN)
    for event in EVENTS:
        progress.write(event)
    progress.pause()


def draw_runs(file: TextIO, width: int) -> None:
    """Write a list of runs."""
    columns = ("ID", "STATUS", "AGENT", "AGE", "DURATION", "COST")
    rows = [
        (RUN["id"], "completed", "support_triage@1", "3 min", "1.3 s", "$0.0021"),
        (RUN["id"], "awaiting_input", ATTACK, "2 days", "", ""),
    ]
    print_table(file, columns, rows, width)


def draw_fields(file: TextIO, width: int) -> None:
    """Write the fields of a run."""
    print_fields(file, [("id", RUN["id"]), ("input", f"{'long ' * 40}{ATTACK}")], width)


DRAWINGS: Mapping[str, Callable[[TextIO, int], None]] = {
    "run": draw_run,
    "chat": draw_chat,
    "runs": draw_runs,
    "fields": draw_fields,
}


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("CI", "1")  # No spinner: its frames depend on the time.
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("name", DRAWINGS)
def test_the_screen_is_the_one_in_the_file(
    name: str, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    file = TerminalFile()
    DRAWINGS[name](file, width)
    stored = SCREENS / f"{name}-{width}.txt"
    if os.environ.get("UPDATE_SCREENS"):
        stored.write_text(file.getvalue(), encoding="utf-8")
    assert file.getvalue() == stored.read_text(encoding="utf-8")
    assert "\x1b" not in file.getvalue()


@pytest.mark.parametrize("name", DRAWINGS)
def test_colors_change_nothing_else(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    colored = TerminalFile()
    DRAWINGS[name](colored, 80)
    assert SGR.search(colored.getvalue())
    plain = SGR.sub("", colored.getvalue())
    assert plain == (SCREENS / f"{name}-80.txt").read_text(encoding="utf-8")
    # Only styles: nothing that a model has sent moves the cursor.
    assert all(character.isprintable() or character == "\n" for character in plain)


def test_a_terminal_without_utf_8_gets_ascii_symbols() -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="backslashreplace")
    draw_run(file, 80)
    file.seek(0)
    lines = file.read().splitlines()
    assert lines[0].startswith(f"* {RUN['id']}")
    assert [line[0] for line in lines if " turn " in line] == ["v", "v"]
