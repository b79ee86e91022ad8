"""The terminal of `make dev` shows internal errors with their tracebacks."""

import json
import threading
from pathlib import Path

import pytest

from runyard_dev.error_lines import error_lines, watch_errors


def test_an_error_is_printed_with_its_run_its_id_and_its_traceback() -> None:
    record = {
        "level": "ERROR",
        "message": "RunStepFunction failed",
        "run_id": "run-1",
        "function_request_id": "request-1",
        "exception": "Traceback\n  line\nKeyError: 1",
    }
    assert list(error_lines(json.dumps(record))) == [
        "error     RunStepFunction failed  run run-1  error id request-1",
        "          Traceback",
        "            line",
        "          KeyError: 1",
    ]


@pytest.mark.parametrize("line", ["", "text", "1", "null", '{"level": "WARNING"}', '{"level": 1}'])
def test_other_lines_are_not_printed(line: str) -> None:
    assert list(error_lines(line)) == []


def test_an_error_appears_when_its_line_is_complete(tmp_path: Path) -> None:
    for name in ("lambda.log", "web.log"):
        (tmp_path / name).touch()
    seen, found = [], threading.Event()

    def report(line: str) -> None:
        seen.append(line)
        found.set()

    watch_errors(tmp_path, report)
    with (tmp_path / "web.log").open("a") as log:
        for text in ('no JSON\n{"level": "ERROR", ', '"message": "broken"}\n'):
            log.write(text)
            log.flush()
    assert found.wait(10)
    assert seen == ["error     broken"]
