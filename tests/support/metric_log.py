"""What the processes of a stack have told: their measures, as CloudWatch would read them."""

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
    """The measures in the logs of a stack. Other tests are at work on it: ask for what is yours."""

    logs: Path
    _read: dict[Path, int] = field(default_factory=dict)
    _lines: list[dict[str, Any]] = field(default_factory=list)

    def lines(self, wanted: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        """What was told so far, of what is wanted."""
        for file in sorted(self.logs.glob("*.log")):
            if file.stat().st_size < self._read.get(file, 0):
                self._read[file] = 0  # Its part was started again, with a new log.
            with file.open("rb") as log:
                log.seek(self._read.get(file, 0))
                text = log.read()
            # The last line may be on its way.
            whole = text[: text.rfind(b"\n") + 1]
            self._read[file] = self._read.get(file, 0) + len(whole)
            self._lines += [
                json.loads(line) for line in whole.splitlines() if line.startswith(b'{"_aws"')
            ]
        return [line for line in self._lines if wanted(line)]

    def wait(self, wanted: Callable[[dict[str, Any]], bool], count: int = 1) -> None:
        """Until so many lines of it are there: they are written behind what they tell of."""
        until = time.monotonic() + SECONDS
        while len(found := self.lines(wanted)) < count:
            assert time.monotonic() < until, f"{len(found)} of {count} lines"
            time.sleep(0.05)

    def of_run(self, run_id: str) -> list[dict[str, Any]]:
        """Everything that was told of a run."""
        return self.lines(lambda line: line.get("run_id") == run_id)


def total(lines: Iterable[dict[str, Any]], measure: Metric, **dimensions: str) -> float:
    """The sum of a metric over these lines, as CloudWatch keeps it for these dimensions."""
    return sum(
        float(line[measure.name])
        for line in lines
        if measure.name in line
        and set(dimensions) | {"Stack"}
        in map(set, line["_aws"]["CloudWatchMetrics"][0]["Dimensions"])
        and all(line[name] == value for name, value in dimensions.items())
    )
