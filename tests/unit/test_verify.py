"""`runyard verify FILE`, which checks an exported log."""

import json
from pathlib import Path
from typing import Any

import pytest

from runyard.verify import TERMINAL_TYPES
from runyard_service.domain import events
from tests.support.command_line import run_command

RUN = {"kind": "run", "data": {"id": "run-1", "status": "completed"}}


def event(sequence: int, type_: str = "run.started", id_: str = "") -> dict[str, Any]:
    data = {"id": id_ or f"e{sequence}", "type": type_, "sequence": sequence, "data": {}}
    return {"kind": "event", "data": data}


def end(count: int) -> dict[str, Any]:
    return {"kind": "end", "data": {"events": count}}


def write(path: Path, *lines: dict[str, Any]) -> str:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


def test_the_terminal_types_are_those_of_the_service() -> None:
    assert TERMINAL_TYPES == events.TERMINAL_TYPES


def test_a_complete_export_has_no_violation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "a", RUN, event(1), event(2, "run.completed"), end(2))
    assert run_command("verify", file) == 0
    assert capsys.readouterr().out == "1 runs (1 completed), 2 events, 0 with violations\n"


@pytest.mark.parametrize(
    ("lines", "violation"),
    [
        ([RUN, event(2), event(3, "run.completed"), end(2)], "do not run from 1 without a gap"),
        ([RUN, event(1), event(2, "run.completed", "e1"), end(2)], "an event id is duplicated"),
        ([RUN, event(1, "run.completed"), event(2, "run.completed"), end(2)], "2 terminal events"),
        ([RUN, event(1, "run.completed"), event(2), end(2)], "events follow the terminal event 1"),
        ([RUN, event(1, "run.completed")], "the export is incomplete"),
        ([RUN, event(1, "run.completed"), end(2)], "1 events, the end line says 2"),
        ([event(1, "run.completed"), end(1)], "there is no line of kind `run`"),
        ([RUN, event(1), end(1)], "the run is completed, the last event is run.started"),
        (
            [
                RUN,
                event(1, "run.completed"),
                {"kind": "input_request", "data": {"state": "open"}},
                end(1),
            ],
            "1 input requests are open",
        ),
    ],
)
def test_each_violation_is_printed(
    lines: list[dict[str, Any]],
    violation: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_command("verify", write(tmp_path / "a", *lines)) == 1
    assert violation in capsys.readouterr().out


@pytest.mark.parametrize("text", ["no json\n", "[]\n", '{"kind": "event", "data": {}}\n'])
def test_a_file_that_is_not_an_export_is_an_error(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a").write_text(text)
    assert run_command("verify", str(tmp_path / "a")) == 1
    expected = f"Error: {tmp_path / 'a'}: line 1 is not a line of an export\n"
    assert capsys.readouterr().err == expected
