"""Figures: what was measured, what it has to reach, and how a table shows it."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of the others is below."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def p50(values: Sequence[float]) -> float:
    """The median."""
    return statistics.median(values)


def p99(values: Sequence[float]) -> float:
    """What one in a hundred is above."""
    return percentile(values, 0.99)


@dataclass(frozen=True)
class Figure:
    """One measured value. `at_most` and `at_least` are what it has to reach, if anything."""

    name: str
    value: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None

    @property
    def is_reached(self) -> bool | None:
        """Whether it is as it has to be; None where nothing is asked of it."""
        if self.at_most is not None:
            return self.value <= self.at_most
        return None if self.at_least is None else self.value >= self.at_least

    @property
    def goal(self) -> str:
        """What has to be reached, as text."""
        if self.at_most is not None:
            return f"≤ {format_number(self.at_most)}"
        return "" if self.at_least is None else f"≥ {format_number(self.at_least)}"

    def to_json(self) -> dict[str, Any]:
        """The figure as data."""
        return {**asdict(self), "is_reached": self.is_reached}


def format_number(value: float) -> str:
    """A number in as many digits as it is worth."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"


def table(figures: Sequence[Figure], peers: Sequence[tuple[str, dict[str, float]]] = ()) -> str:
    """The figures as a table in Markdown, each peer's with its ratio to ours."""
    head = ["measure", "here", "to reach", "", *(name for name, _ in peers)]
    lines = [_row(head), _row(["---", "---:", "---:", "---", *("---:" for _ in peers)])]
    for figure in figures:
        verdict = {True: "yes", False: "**no**", None: ""}[figure.is_reached]
        cells = [figure.name, f"{format_number(figure.value)} {figure.unit}", figure.goal, verdict]
        cells += [_compare(figure, found.get(figure.name)) for _, found in peers]
        lines.append(_row(cells))
    return "\n".join(lines)


def _compare(figure: Figure, theirs: float | None) -> str:
    if theirs is None:
        return ""
    return f"{format_number(theirs)} ({theirs / figure.value:.2g})"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
