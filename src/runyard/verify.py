"""Check the log of a run, as events in JSON. This module uses only the standard library."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

TERMINAL_TYPES = frozenset({"run.completed", "run.failed", "run.canceled"})
"""The event types that end a log. A test compares them with those of the service."""

_MAX_LISTED_SEQUENCES = 200


def find_violations(events: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what is wrong with a log, one sentence for each violation.

    Each event has `id`, `type` and `sequence`. Sequences start at 1 and have no gap. Event ids
    are unique. At most one event is terminal, and nothing follows it.
    """
    violations = []
    sequences = [event["sequence"] for event in events]
    if sequences != list(range(1, len(events) + 1)):
        listed = sequences[:_MAX_LISTED_SEQUENCES]
        violations.append(f"the sequences do not run from 1 without a gap: {listed}")
    if len({event["id"] for event in events}) != len(events):
        violations.append("an event id is duplicated")
    ends = [event["sequence"] for event in events if event["type"] in TERMINAL_TYPES]
    if len(ends) > 1:
        violations.append(f"there are {len(ends)} terminal events")
    if ends and ends[0] != len(events):
        violations.append(f"events follow the terminal event {ends[0]}")
    return violations


class Export:
    """The lines of `GET /v1/runs/{run_id}/export`."""

    def __init__(self, lines: Iterable[str | bytes]) -> None:
        """Parse the lines. Raise ValueError if a line is not `{"kind": …, "data": {…}}`."""
        self.run: Mapping[str, Any] = {}
        self.events: list[Mapping[str, Any]] = []
        self.open_requests = 0
        self.ends: list[Mapping[str, Any]] = []
        for number, line in enumerate(lines, start=1):
            kind, data = _parse(line, number)
            if kind == "run":
                self.run = data
            elif kind == "event":
                self.events.append(data)
            elif kind == "input_request":
                self.open_requests += data.get("state") == "open"
            elif kind == "end":
                self.ends.append(data)
            if self.ends and kind != "end":
                raise ValueError(f"line {number} follows the line of kind `end`")

    def find_violations(self) -> list[str]:
        """Return what is wrong with the export, one sentence for each violation."""
        violations = find_violations(self.events)
        if not self.run:
            violations.append("there is no line of kind `run`")
        if len(self.ends) != 1:
            violations.append("the export is incomplete: it does not end with one `end` line")
        elif self.ends[0].get("events") != len(self.events):
            expected = self.ends[0].get("events")
            violations.append(f"there are {len(self.events)} events, the end line says {expected}")
        return violations + self._status_violations()

    def _status_violations(self) -> list[str]:
        """Compare the status of the run with the last event.

        The run is read before the log, so a run in progress may have ended in between.
        """
        status = self.run.get("status")
        last = str(self.events[-1]["type"]) if self.events else ""
        is_terminal = f"run.{status}" in TERMINAL_TYPES
        if is_terminal and last != f"run.{status}":
            return [f"the run is {status}, the last event is {last or 'missing'}"]
        if is_terminal and self.open_requests:
            return [f"the run is {status}, {self.open_requests} input requests are open"]
        return []


def _parse(line: str | bytes, number: int) -> tuple[str, Mapping[str, Any]]:
    try:
        value = json.loads(line)
        kind, data = value["kind"], value["data"]
        if kind == "event":
            _ = (data["id"], data["type"], data["sequence"])
        if not isinstance(kind, str) or not isinstance(data, dict):
            raise TypeError
    except (ValueError, TypeError, KeyError):
        raise ValueError(f"line {number} is not a line of an export") from None
    return kind, data


def summarize(statuses: Mapping[str, int], events: int, violated: int) -> str:
    """Return one line: the runs by status, the events, and the runs with violations."""
    by_status = ", ".join(f"{count} {status}" for status, count in sorted(statuses.items()))
    runs = sum(statuses.values())
    return f"{runs} runs ({by_status or 'none'}), {events} events, {violated} with violations"
