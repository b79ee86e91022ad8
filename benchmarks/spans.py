"""What the instrumented processes noted: calls to emulators, invocations, units."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Span:
    """One call: `DynamoDB_20120810.PutItem`, `AWSStepFunctions.…`, `invoke RunStepFunction`."""

    process: int
    kind: str
    started: float
    ended: float
    used: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_dynamodb(self) -> bool:
        """Whether the call went to DynamoDB."""
        return self.kind.startswith("DynamoDB")

    @property
    def operation(self) -> str:
        """The operation's name."""
        return self.kind.rpartition(".")[2]


def read(folder: Path) -> list[Span]:
    """Return all spans, in the order of their starts."""
    spans = [
        Span(int(file.stem), **json.loads(line))
        for file in folder.glob("*.jsonl")
        for line in file.read_text(encoding="utf-8").splitlines()
    ]
    return sorted(spans, key=lambda span: span.started)


def covered(spans: Iterable[Span], start: float, end: float) -> float:
    """Return the seconds between the two moments in which at least one span (sorted) was open."""
    seconds, reached = 0.0, start
    for span in spans:
        first, last = max(span.started, reached), min(span.ended, end)
        if last > first:
            seconds += last - first
            reached = last
    return seconds
