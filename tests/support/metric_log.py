"""The metrics in the logs of a stack's processes, as CloudWatch reads them."""

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runyard_service.observability.metrics import Metric

SECONDS = 30


@dataclass
class MetricLog:
    """The metric lines in the logs of a stack. Other tests use the stack too: filter by run."""

    logs: Path
    _read: dict[Path, int] = field(default_factory=dict)
    _lines: list[dict[str, Any]] = field(default_factory=list)

    def lines(self, matches: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        """Return the metric lines so far for which `matches` returns True."""
        for file in sorted(self.logs.glob("*.log")):
            if file.stat().st_size < self._read.get(file, 0):
                self._read[file] = 0  # The process was restarted, with a new log.
            with file.open("rb") as log:
                log.seek(self._read.get(file, 0))
                text = log.read()
            # The last line may be incomplete.
            whole = text[: text.rfind(b"\n") + 1]
            self._read[file] = self._read.get(file, 0) + len(whole)
            self._lines += [
                json.loads(line) for line in whole.splitlines() if line.startswith(b'{"_aws"')
            ]
        return [line for line in self._lines if matches(line)]

    def wait(self, matches: Callable[[dict[str, Any]], bool], count: int = 1) -> None:
        """Wait for `count` matching lines: a process writes them after it has done the work."""
        until = time.monotonic() + SECONDS
        while len(found := self.lines(matches)) < count:
            assert time.monotonic() < until, f"{len(found)} of {count} lines"
            time.sleep(0.05)

    def of_run(self, run_id: str) -> list[dict[str, Any]]:
        """Return the metric lines of a run."""
        return self.lines(lambda line: line.get("run_id") == run_id)


def total(lines: Iterable[dict[str, Any]], metric: Metric, **dimensions: str) -> float:
    """Return the sum of a metric over these lines for these dimensions, as in CloudWatch."""
    return sum(
        float(line[metric.name])
        for line in lines
        if metric.name in line
        and set(dimensions) | {"Stack"}
        in map(set, line["_aws"]["CloudWatchMetrics"][0]["Dimensions"])
        and all(line[name] == value for name, value in dimensions.items())
    )
