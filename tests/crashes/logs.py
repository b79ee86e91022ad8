"""Compare the log of an interrupted run with the log of an undisturbed run.

Ids, times and sequences may differ. So may recoveries, with the deltas before them; retries; input
requests about a call in doubt; and the outcome of a call that the injected fault itself made fail.
"""

import json
import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from runyard_service.application.steps.tool_calls.requested_input import DOUBT_CHOICES
from runyard_service.domain.events import Event

Fact = tuple[str, str]

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_DURATION = re.compile(r'"duration_ms": \d+')
_INVOCATION = re.compile(r'"invocation": \d+')
_OUTCOMES = (
    "agent.tool_call.completed",
    "agent.tool_call.failed",
    "agent.step.completed",
    "agent.step.failed",
)


def facts(events: Iterable[Event], *, with_outcomes: bool = True) -> list[Fact]:
    """Return the content of the log in a form that is equal for two runs of one scenario.

    Without `with_outcomes`, omit the results of tools and the responses of the model to them.
    """
    stable = _without_doubts(_without_recoveries(events))
    known: dict[str, str] = {}

    def number(match: re.Match[str]) -> str:
        return known.setdefault(match[0], f"<{len(known) + 1}>")

    found = []
    for event in stable:
        kind, data = event.type, dict(event.data)
        if not with_outcomes:
            kind, data = _without_outcome(kind, data)
        text = _ID.sub(number, json.dumps(data, sort_keys=True))
        # A repeated invocation has another number.
        text = _INVOCATION.sub('"invocation": 0', text)
        found.append((kind, _DURATION.sub('"duration_ms": 0', _TIME.sub("<time>", text))))
    if not with_outcomes:
        found = [fact for fact in found if not fact[0].endswith(".delta")]
    return _sort_outcomes(found)


def _without_recoveries(events: Iterable[Event]) -> list[Event]:
    result: list[Event] = []
    for event in events:
        if event.type == "run.retrying":
            continue
        if event.type != "run.recovered":
            result.append(event)
            continue
        while result and result[-1].type.endswith(".delta"):
            result.pop()
    return result


def _without_doubts(events: Sequence[Event]) -> list[Event]:
    doubts = {
        event.data["id"]
        for event in events
        if event.type == "agent.human_feedback.requested"
        and event.data["params"].get("choices") == list(DOUBT_CHOICES)
    }
    result: list[Event] = []
    for event in events:
        if event.data.get("id") in doubts:
            continue
        # A pause with no other input request.
        if event.type == "run.resumed" and result and result[-1].type == "run.paused":
            result.pop()
            continue
        result.append(event)
    return result


def _without_outcome(kind: str, data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    if kind in _OUTCOMES:
        return "agent.tool_call.ended", {"id": data["id"]}
    for name in ("content", "output", "usage", "input", "summary"):
        data.pop(name, None)
    return kind, data


def _sort_outcomes(found: Sequence[Fact]) -> list[Fact]:
    """Sort the outcomes of parallel calls, which end in any order."""

    def is_outcome(fact: Fact) -> bool:
        return fact[0] in (*_OUTCOMES, "agent.tool_call.ended")

    groups = [(outcomes, list(group)) for outcomes, group in groupby(found, key=is_outcome)]
    return [fact for outcomes, group in groups for fact in (sorted(group) if outcomes else group)]


def first_difference(expected: Sequence[Fact], found: Sequence[Fact]) -> str:
    """Return the first difference of two logs in one line; an empty string if they are equal."""
    for number, (left, right) in enumerate(zip(expected, found, strict=False)):
        if left != right:
            return f"fact {number}: expected {_short(left)}, found {_short(right)}"
    if len(expected) != len(found):
        longer = max(expected, found, key=len)
        state = "is missing" if longer is expected else "is unexpected"
        return f"{_short(longer[min(len(expected), len(found))])} {state}"
    return ""


def _short(fact: Fact) -> str:
    return f"{fact[0]} {fact[1][:150]}"
