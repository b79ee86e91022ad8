"""Show internal errors of the service in the terminal, with their tracebacks."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from runyard_dev.stack_plan import LAMBDA, WEB

_POLL_SECONDS = 0.3


def watch_errors(logs: Path, report: Callable[[str], None]) -> None:
    """Report the errors in the logs of handlers and web server, until the process ends."""
    for part in (LAMBDA, WEB):
        arguments = (logs / f"{part}.log", report)
        threading.Thread(target=_watch, args=arguments, name="errors", daemon=True).start()


def _watch(log: Path, report: Callable[[str], None]) -> None:
    with log.open(encoding="utf-8", errors="replace") as file:
        partial = ""
        while True:
            partial += file.readline()
            if not partial.endswith("\n"):
                time.sleep(_POLL_SECONDS)
                continue
            for line in error_lines(partial):
                report(line)
            partial = ""


def error_lines(line: str) -> Iterator[str]:
    """Yield the lines that the terminal shows for a line of a log. Yield none without an error.

    The first line names the run and the id that finds the error in the log.
    """
    try:
        record = json.loads(line)
    except ValueError:
        return
    if not isinstance(record, dict) or record.get("level") not in ("ERROR", "CRITICAL"):
        return
    found = f"error     {record.get('message', '')}"
    if run_id := record.get("run_id"):
        found += f"  run {run_id}"
    ids = (record.get(name) for name in ("error_id", "function_request_id", "request_id"))
    if error_id := next(filter(None, ids), None):
        found += f"  error id {error_id}"
    yield found
    for text in str(record.get("exception") or "").splitlines():
        yield f"          {text}"
