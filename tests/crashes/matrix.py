"""The matrix: every call of every verb, before and after, by every fault.

The points are found by an undisturbed run of each scenario, so no list of them can grow old. A
point's verdict says what was left behind, who put it right, and what is wrong, if anything.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from runyard.cli.verify_stores import find_run_violations
from runyard_service.domain.events import Event
from tests.crashes.crash_harness import CrashHarness
from tests.crashes.interruptions import Caller, FaultAt, Helpers
from tests.crashes.logs import Fact, facts, first_difference
from tests.crashes.scenario_run import ScenarioRun
from tests.crashes.scenarios import SCENARIOS, Scenario
from tests.fault_injection.faults import EDGES, EFFECTS, Edge, Effect, Fault, InterceptedCall

Lines = frozenset[tuple[str, int]]

# What stands for the systems outside, where a lost connection is the model's news.
_TOOLS = ("http.", "lambda.", "python.")
# When a run that stands still is due for the sweep, which comes every five minutes.
SWEEP_SECONDS = 120
_WRITE = re.compile(r"\w+\.(Put|Update|Transact|Start|Send|Stop|Copy)")
_CALLERS_VERBS = ("start_run", "submit_input", "cancel_run")


@dataclass(frozen=True)
class Recording:
    """An undisturbed run of a scenario: the calls of each verb, and what the log says."""

    scenario: Scenario
    calls: Mapping[str, Sequence[InterceptedCall]]
    facts: Sequence[Fact]
    outline: Sequence[Fact]
    helpers: Helpers


@dataclass(frozen=True)
class Point:
    """One place of the matrix."""

    recording: Recording
    at: FaultAt
    caller: Caller

    def __str__(self) -> str:
        """One line for people."""
        return f"{self.recording.scenario.name}, {self.at}, caller {self.caller}"


@dataclass(frozen=True)
class Verdict:
    """What became of it. `is_wrong` is empty where all is well; `lines` were at work."""

    point: Point
    left: str
    helper: str
    lines: Lines
    is_wrong: str = ""


def lines_of(calls: Mapping[str, Sequence[InterceptedCall]]) -> Lines:
    """The lines of the code that the calls come from."""
    return frozenset(place for each in calls.values() for call in each for place in call.places)


def record(world: CrashHarness) -> list[Recording]:
    """Every scenario, undisturbed."""
    recordings = []
    for scenario in SCENARIOS:
        journey = ScenarioRun(world, scenario)
        journey.go()
        assert find_run_violations(world.stores, journey.run_id) == []
        events = list(world.stores.log.events(journey.run_id))
        recordings.append(
            Recording(
                scenario,
                journey.calls,
                facts(events),
                facts(events, with_outcomes=False),
                journey.helpers,
            )
        )
    return recordings


def all_points(recordings: Sequence[Recording]) -> Iterator[Point]:
    """Every call, each edge, each fault; a caller who asks again, and one who does not."""
    for recording in recordings:
        for verb, calls in recording.calls.items():
            callers: tuple[Caller, ...] = ("stubborn",)
            if verb in _CALLERS_VERBS:
                callers = ("stubborn", "gone")
            for call in calls[: recording.scenario.interrupted]:
                # A model that fails gives no reply that could be lost.
                for edge in EDGES if call.has_come_back else EDGES[:1]:
                    for effect in _effects(recording.scenario, call, edge):
                        fault = Fault(call.name, edge, effect, call.occurrence)
                        for caller in callers if effect != "cut" else ("stubborn",):
                            yield Point(recording, FaultAt(verb, fault), caller)


def _effects(scenario: Scenario, call: InterceptedCall, edge: Edge) -> tuple[Effect, ...]:
    gets_through = call.name != scenario.during or edge == "after"
    # After a death the call is made again; a lost connection is the model's news.
    return EFFECTS if gets_through else ("kill",)


def selected_points(recordings: Sequence[Recording]) -> Iterator[Point]:
    """Every kind of call once, in the first scenario that makes it."""
    seen: set[tuple[str, str, str, Effect]] = set()
    for point in all_points(recordings):
        fault = point.at.fault
        # After a death the platform has to do without the caller, where it can.
        caller = "gone" if fault.effect == "kill" else "stubborn"
        if point.at.verb in _CALLERS_VERBS and point.caller != caller:
            continue
        kind = (point.at.verb, fault.call, fault.edge, fault.effect)
        if kind in seen or not _is_selected(fault):
            continue
        seen.add(kind)
        yield point


def _is_selected(fault: Fault) -> bool:
    is_write = bool(_WRITE.match(fault.call))
    if fault.effect == "cut":
        # boto3's own retry is met where it is not harmless by itself: at a write that was made.
        return is_write and fault.edge == "after"
    if is_write or fault.call.startswith((*_TOOLS, "model.")):
        return True
    # A read that is lost before is as one that is lost after.
    return (fault.edge == "before") == (fault.effect == "kill")


def verdict(world: CrashHarness, point: Point) -> Verdict:
    """Carry the scenario through its fault, and look at what has become of it."""
    before = Counter(world.till.charges)
    journey = ScenarioRun(world, point.recording.scenario, point.at, point.caller)
    try:
        journey.go()
    except Exception as error:  # noqa: BLE001 - whatever is raised is the verdict
        wrong = [f"{type(error).__name__}: {error}"]
    else:
        events = list(world.stores.log.events(journey.run_id))
        wrong = [*_wrong_with(world, journey, events, before), _difference(point, events)]
    helper, lines = _helper(point, journey), lines_of(journey.calls)
    return Verdict(point, journey.left, helper, lines, "; ".join(filter(None, wrong)))


def _wrong_with(
    world: CrashHarness, journey: ScenarioRun, events: Sequence[Event], before: Counter[str]
) -> list[str]:
    stores = world.stores
    wrong = find_run_violations(stores, journey.run_id)
    if not journey.has_met:
        wrong.append("the fault was never met")
    if journey.open_requests():
        wrong.append("a question is open")
    if any(execution.status == "RUNNING" for execution in journey.executions):
        wrong.append("an execution is still at work")
    received = [
        event.data for event in events if "feedback" in event.data or "is_approved" in event.data
    ]
    for answer in journey.acknowledged:
        if [data["id"] for data in received].count(answer.request_id) != 1:
            wrong.append(f"the answer to {answer.request_id} is lost")
    repeats = {data["id"] for data in received if data.get("feedback") == "repeat"}
    for call, times in (world.till.charges - before).items():
        if times > 1 + len(repeats):
            wrong.append(f"the charge {call} was made {times} times")
    return wrong


def _difference(point: Point, events: Sequence[Event]) -> str:
    if point.at.fault.call.startswith(_TOOLS) or _had_doubts(events):
        return first_difference(point.recording.outline, facts(events, with_outcomes=False))
    return first_difference(point.recording.facts, facts(events))


def _had_doubts(events: Sequence[Event]) -> bool:
    """Whether a call was skipped because it may have been made."""
    return any(
        event.type == "agent.tool_call.failed" and event.data["error"]["code"] == "skipped"
        for event in events
    )


def _helper(point: Point, journey: ScenarioRun) -> str:
    """Who put it right: the first that was needed."""
    usual, found, fault = point.recording.helpers, journey.helpers, point.at.fault
    for name in ("person", "late_sweep", "sweep", "caller", "machine", "rule", "timer"):
        if getattr(found, name) > getattr(usual, name):
            return name
    if fault.effect == "cut":
        return "boto3"
    return {"sweep_runs": "next sweep", "close_run": "rule"}.get(point.at.verb, "nobody")
