"""Two logs of the same run, one of them disturbed: what may differ, and what may not.

May differ: ids, times, sequences; that the run was recovered, and what was shown of a reply before;
the questions about a call in doubt, and what became of a call that the fault itself made fail.
"""

import json
import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from runyard_service.application.steps.next_action import DOUBT_CHOICES
from runyard_service.domain.events import Event

Fact = tuple[str, str]

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_DURATION = re.compile(r'"duration_ms": \d+')
_OUTCOMES = ("agent.tool_call.completed", "agent.tool_call.failed")


def facts(events: Iterable[Event], *, with_outcomes: bool = True) -> list[Fact]:
    """What the log says, in a form that two runs of one kind share.

    Without `with_outcomes`, what tools gave, and what the model made of it, is left out.
    """
    lasting = _without_doubts(_without_recoveries(events))
    known: dict[str, str] = {}

    def named(found: re.Match[str]) -> str:
        return known.setdefault(found[0], f"<{len(known) + 1}>")

    told = []
    for event in lasting:
        kind, data = event.type, dict(event.data)
        if not with_outcomes:
            kind, data = _without_outcome(kind, data)
        text = _ID.sub(named, json.dumps(data, sort_keys=True))
        told.append((kind, _DURATION.sub('"duration_ms": 0', _TIME.sub("<time>", text))))
    if not with_outcomes:
        told = [fact for fact in told if not fact[0].endswith(".delta")]
    return _with_outcomes_in_order(told)


def _without_recoveries(events: Iterable[Event]) -> list[Event]:
    kept: list[Event] = []
    for event in events:
        if event.type != "run.recovered":
            kept.append(event)
            continue
        while kept and kept[-1].type.endswith(".delta"):
            kept.pop()
    return kept


def _without_doubts(events: Sequence[Event]) -> list[Event]:
    doubts = {
        event.data["id"]
        for event in events
        if event.type == "agent.human_feedback.requested"
        and event.data["params"].get("choices") == list(DOUBT_CHOICES)
    }
    kept: list[Event] = []
    for event in events:
        if event.data.get("id") in doubts:
            continue
        # A pause in which nothing else was asked.
        if event.type == "run.resumed" and kept and kept[-1].type == "run.paused":
            kept.pop()
            continue
        kept.append(event)
    return kept


def _without_outcome(kind: str, data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    if kind in _OUTCOMES:
        return "agent.tool_call.settled", {"id": data["id"]}
    for name in ("content", "output", "usage", "input"):
        data.pop(name, None)
    return kind, data


def _with_outcomes_in_order(told: Sequence[Fact]) -> list[Fact]:
    """Calls of one reply end in any order."""

    def is_outcome(fact: Fact) -> bool:
        return fact[0] in (*_OUTCOMES, "agent.tool_call.settled")

    groups = [(outcomes, list(group)) for outcomes, group in groupby(told, key=is_outcome)]
    return [fact for outcomes, group in groups for fact in (sorted(group) if outcomes else group)]


def first_difference(expected: Sequence[Fact], found: Sequence[Fact]) -> str:
    """Where two logs part, in one line; empty where they do not."""
    for number, (left, right) in enumerate(zip(expected, found, strict=False)):
        if left != right:
            return f"fact {number}: expected {_short(left)}, found {_short(right)}"
    if len(expected) != len(found):
        longer = max(expected, found, key=len)
        whose = "is missing" if longer is expected else "is too many"
        return f"{_short(longer[min(len(expected), len(found))])} {whose}"
    return ""


def _short(fact: Fact) -> str:
    return f"{fact[0]} {fact[1][:150]}"
