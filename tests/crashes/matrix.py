"""The matrix: every fault before and after every external call of every use case.

An undisturbed run of each scenario finds the points, so no list of them can become outdated. The
verdict on a point has the state after the fault, the component that recovered, and all violations.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from runyard.cli.verify_stores import find_run_violations
from runyard_service.domain.events import Event
from tests.crashes.crash_harness import CrashHarness
from tests.crashes.interruptions import Caller, FaultAt, Recoveries
from tests.crashes.logs import Fact, facts, first_difference
from tests.crashes.scenario_run import ScenarioRun
from tests.crashes.scenarios import SCENARIOS, Scenario
from tests.fault_injection.faults import EDGES, EFFECTS, Edge, Effect, Fault, InterceptedCall
from tests.support.event_schemas import find_schema_violations
from tests.support.retry_events import find_retry_violations

Lines = frozenset[tuple[str, int]]

# Calls of tools: the model gets the error of a lost connection.
_TOOLS = ("http.", "lambda.", "python.")
_WRITE = re.compile(r"\w+\.(Put|Update|Transact|Start|Send|Stop|Copy)")
_CALLER_USE_CASES = ("start_run", "submit_input", "cancel_run", "migrate_run")


@dataclass(frozen=True)
class Recording:
    """An undisturbed run of a scenario: the calls of each use case, and the facts of the log."""

    scenario: Scenario
    calls: Mapping[str, Sequence[InterceptedCall]]
    facts: Sequence[Fact]
    outline: Sequence[Fact]
    recoveries: Recoveries


@dataclass(frozen=True)
class Point:
    """One point of the matrix."""

    recording: Recording
    fault_at: FaultAt
    caller: Caller

    def __str__(self) -> str:
        """Return one line for people."""
        return f"{self.recording.scenario.name}, {self.fault_at}, caller {self.caller}"


@dataclass(frozen=True)
class Verdict:
    """The result of a point: `violations` is empty if it is right; `lines` made external calls."""

    point: Point
    state_after_fault: str
    recovered_by: str
    lines: Lines
    violations: str = ""


def lines_of(calls: Mapping[str, Sequence[InterceptedCall]]) -> Lines:
    """Return the lines of the code that make the calls."""
    return frozenset(line for each in calls.values() for call in each for line in call.lines)


def record(harness: CrashHarness, scenarios: Sequence[Scenario] = SCENARIOS) -> list[Recording]:
    """Run every scenario without a fault."""
    recordings = []
    for scenario in scenarios:
        scenario_run = ScenarioRun(harness, scenario)
        scenario_run.execute()
        assert find_run_violations(harness.stores, scenario_run.run_id) == []
        events = list(harness.stores.log.events(scenario_run.run_id))
        assert find_schema_violations(event._asdict() for event in events) == []
        recordings.append(
            Recording(
                scenario,
                scenario_run.calls,
                facts(events),
                facts(events, with_outcomes=False),
                scenario_run.recoveries,
            )
        )
    return recordings


def all_points(recordings: Sequence[Recording]) -> Iterator[Point]:
    """Yield a point for each call, edge, effect and kind of caller."""
    for recording in recordings:
        for use_case, calls in recording.calls.items():
            callers: tuple[Caller, ...] = ("persistent",)
            if use_case in _CALLER_USE_CASES:
                callers = ("persistent", "gone")
            for call in calls[: recording.scenario.max_calls]:
                # A failed call of the model has no response that could be lost.
                for edge in EDGES if call.has_returned else EDGES[:1]:
                    for effect in _effects(recording.scenario, call, edge):
                        fault = Fault(call.name, edge, effect, call.occurrence)
                        for caller in callers if effect != "drop_once" else ("persistent",):
                            yield Point(recording, FaultAt(use_case, fault), caller)


def _effects(scenario: Scenario, call: InterceptedCall, edge: Edge) -> tuple[Effect, ...]:
    succeeds = call.name != scenario.action_call or edge == "after"
    # After a crash the call is repeated. After a lost connection the model gets an error, and the
    # concurrent action of the scenario never runs.
    return EFFECTS if succeeds else ("kill",)


def selected_points(recordings: Sequence[Recording]) -> Iterator[Point]:
    """Yield the points of each kind of call once, in the first scenario that makes it."""
    seen: set[tuple[str, str, str, Effect]] = set()
    for point in all_points(recordings):
        fault = point.fault_at.fault
        # After a crash the service recovers without the caller where it can.
        caller = "gone" if fault.effect == "kill" else "persistent"
        if point.fault_at.use_case in _CALLER_USE_CASES and point.caller != caller:
            continue
        kind = (point.fault_at.use_case, fault.call, fault.edge, fault.effect)
        if kind in seen or not _is_selected(fault):
            continue
        seen.add(kind)
        yield point


def _is_selected(fault: Fault) -> bool:
    is_write = bool(_WRITE.match(fault.call))
    if fault.effect == "drop_once":
        # A retry of boto3 can do harm only if the first request has written.
        return is_write and fault.edge == "after"
    if is_write or fault.call.startswith((*_TOOLS, "model.")):
        return True
    # A read that is lost before is the same as a read that is lost after.
    return (fault.edge == "before") == (fault.effect == "kill")


def verdict(harness: CrashHarness, point: Point) -> Verdict:
    """Run the scenario with the fault of the point, and return the result."""
    before = Counter(harness.payment_server.charges)
    scenario_run = ScenarioRun(harness, point.recording.scenario, point.fault_at, point.caller)
    try:
        scenario_run.execute()
    except Exception as error:  # noqa: BLE001 - any error is a violation
        violations = [f"{type(error).__name__}: {error}"]
    else:
        events = list(harness.stores.log.events(scenario_run.run_id))
        violations = [
            *_find_violations(harness, scenario_run, events, before),
            _difference(point, events),
        ]
    recovered_by, lines = _recovered_by(point, scenario_run), lines_of(scenario_run.calls)
    return Verdict(
        point,
        scenario_run.state_after_fault,
        recovered_by,
        lines,
        "; ".join(filter(None, violations)),
    )


def _find_violations(
    harness: CrashHarness, scenario_run: ScenarioRun, events: Sequence[Event], before: Counter[str]
) -> list[str]:
    stores = harness.stores
    violations = find_run_violations(stores, scenario_run.run_id)
    violations += find_schema_violations(event._asdict() for event in events)
    violations += find_retry_violations(events)
    if not scenario_run.fault_occurred:
        violations.append("the fault never occurred")
    if scenario_run.open_requests():
        violations.append("an input request is open")
    if any(execution.status == "RUNNING" for execution in scenario_run.executions):
        violations.append("an execution is still running")
    left = Counter(event.data.get("failed_route", "") for event in events)
    violations += [
        f"the run left {route} {left[route]} times" for route in left if route and left[route] > 1
    ]
    received = [
        event.data for event in events if "feedback" in event.data or "is_approved" in event.data
    ]
    for answer in scenario_run.acknowledged:
        if [data["id"] for data in received].count(answer.request_id) != 1:
            violations.append(f"the answer to {answer.request_id} is lost")
    repeats = {data["id"] for data in received if data.get("feedback") == "repeat"}
    for call, times in (harness.payment_server.charges - before).items():
        if times > 1 + len(repeats):
            violations.append(f"the charge {call} was made {times} times")
    return violations


def _difference(point: Point, events: Sequence[Event]) -> str:
    recording = point.recording
    expected, found = recording.facts, facts(events)
    if point.fault_at.fault.call.startswith(_TOOLS) or _had_doubts(events):
        expected, found = recording.outline, facts(events, with_outcomes=False)
    if not recording.scenario.has_fixed_order:
        expected, found = _without_order(expected), _without_order(found)
    return first_difference(expected, found)


def _without_order(found: Sequence[Fact]) -> list[Fact]:
    """Return the sorted facts without pauses: a call in doubt adds one to a run with a request."""
    return sorted(fact for fact in found if fact[0] not in ("run.paused", "run.resumed"))


def _had_doubts(events: Sequence[Event]) -> bool:
    """Return True if a person skipped a call that may have been made."""
    return any(
        event.type in ("agent.tool_call.failed", "agent.step.failed")
        and event.data["error"]["code"] == "skipped"
        for event in events
    )


def _recovered_by(point: Point, scenario_run: ScenarioRun) -> str:
    """Return the component that recovered the run: the strongest that was needed."""
    usual, found, fault = point.recording.recoveries, scenario_run.recoveries, point.fault_at.fault
    for name in ("person", "late_sweep", "sweep", "caller", "state_machine", "rule", "timer"):
        if getattr(found, name) > getattr(usual, name):
            return name
    if fault.effect == "drop_once":
        return "boto3"
    return {"sweep_runs": "next sweep", "close_run": "rule"}.get(point.fault_at.use_case, "none")
