"""Count the effects of tools, and check that no crash repeats an unsafe one."""

from collections.abc import Callable, Mapping
from typing import Any

from runyard.durable.handler import Agent
from runyard.testing import Answers, CrashReport, Result, crash_everywhere, replay, run


class Ledger:
    """The effects of unsafe tools in one run."""

    def __init__(self) -> None:
        self.effects: list[str] = []

    def add(self, effect: str) -> None:
        """Record an effect."""
        self.effects.append(effect)

    def clear(self) -> None:
        """Forget the effects of the last run."""
        self.effects.clear()

    def check(self) -> None:
        """Raise AssertionError if an effect happened twice."""
        assert len(set(self.effects)) == len(self.effects), f"repeated: {self.effects}"


def keys(result: Result) -> list[str]:
    """Return the keys of the recorded operations."""
    return [entry["key"] for entry in result.journal]


def run_and_crash(
    handler: Agent,
    ledger: Ledger,
    data: Mapping[str, Any],
    *,
    answers: Callable[[], Answers] = tuple,
    model: Callable[[], Answers] = tuple,
) -> tuple[Result, CrashReport]:
    """Run the agent, replay its journal, and interrupt it at each point."""
    ledger.clear()
    result = run(handler, data, answers=answers(), model=model())
    ledger.check()
    ledger.clear()
    assert replay(handler, result.journal, data) == result.output
    assert ledger.effects == [], "a replay has no effects"
    report = crash_everywhere(
        handler,
        data,
        answers=answers,
        model=model,
        before=ledger.clear,
        check=ledger.check,
    )
    ledger.clear()
    return result, report
