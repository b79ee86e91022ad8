"""What an event that was just appended says in numbers.

Told by whoever wrote the event, once it is in the log. So the sums of a metric are the counts of
the events, but for a process that dies in between.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Unpack

from runyard_service.domain.clock import parse
from runyard_service.domain.events import Event
from runyard_service.domain.history import History
from runyard_service.domain.runs import Run
from runyard_service.observability import metrics
from runyard_service.observability.metrics import Dimension, LogFields, Metric, record

# Ends of a run that its limits, its daily caps, or a person's word or silence has decided.
_DECIDED = frozenset({"limit_exceeded", "input_expired", "tool_call_in_doubt"})


def agent_key(run: Run) -> str:
    """The agent without its version, of which there may be any number."""
    return run.agent.partition("@")[0]


@dataclass(frozen=True)
class _Appended:
    """An event, its run, and what the log says up to and including it."""

    run: Run
    history: History
    event: Event

    def emit(
        self,
        fact: str,
        values: Mapping[Metric, float],
        by: Mapping[Dimension, str] | None = None,
        **keys: Unpack[LogFields],
    ) -> None:
        about: LogFields = {
            "run_id": self.run.id,
            "sequence": self.event.sequence,
            "project_id": self.run.project_id,
            **keys,
        }
        record(fact, values, by, **about)


def measure_event(run: Run, history: History, event: Event) -> None:
    """Tell the numbers of an event of the run, if it has any; `history` is up to that event."""
    if measured := _MEASURED.get(event.type):
        measured(_Appended(run, history, event))


def _started(at: _Appended) -> None:
    waited = _milliseconds(at.run.started_at, at.event.timestamp)
    values = {metrics.RUNS_STARTED: 1, metrics.TIME_TO_FIRST_EVENT: waited}
    at.emit("run started", values, {"Agent": agent_key(at.run)})


def _replied(at: _Appended) -> None:
    usage = at.event.data.get("usage", {})
    values = {
        metrics.INPUT_TOKENS: usage.get("input_tokens", 0),
        metrics.OUTPUT_TOKENS: usage.get("output_tokens", 0),
        metrics.CACHED_INPUT_TOKENS: usage.get("cached_input_tokens", 0),
    }
    if "cost_usd" in usage:
        values[metrics.COST_USD] = usage["cost_usd"]
    at.emit("response recorded", values, {"Agent": agent_key(at.run)})


def _call_ended(at: _Appended) -> None:
    outcome = at.event.type.removeprefix("agent.tool_call.")
    keys: LogFields = {"tool": at.event.data.get("tool", {}).get("name", "")}
    if error := at.event.data.get("error"):
        keys["error_code"] = error["code"]
    counted: dict[Metric, float] = {metrics.TOOL_CALLS: 1}
    at.emit("tool call ended", counted, {"Outcome": outcome}, **keys)


def _paused(at: _Appended) -> None:
    at.emit("run paused", {metrics.RUNS_PAUSED: 1})


def _expired(at: _Appended) -> None:
    at.emit("answer expired", {metrics.ANSWERS: 1}, {"Outcome": "expired"})


def _resumed(at: _Appended) -> None:
    if answer := at.history.last_answer:
        waited = _milliseconds(answer.timestamp, at.event.timestamp)
        at.emit("run resumed", {metrics.ANSWER_TO_RESUME: waited})


def _recovered(at: _Appended) -> None:
    reason = at.event.data["reason"]
    at.emit("run recovered", {metrics.RUNS_RECOVERED: 1}, reason=reason)


def _ended(at: _Appended) -> None:
    error = at.event.data.get("error", {})
    is_failure = at.event.type == "run.failed" and error["code"] not in _DECIDED
    values = {
        metrics.RUNS_ENDED: 1,
        metrics.RUNS_FAILED: int(is_failure),
        metrics.RUN_DURATION: _milliseconds(at.run.started_at, at.event.timestamp),
    }
    by: dict[Dimension, str] = {
        "Outcome": at.event.type.removeprefix("run."),
        "Agent": agent_key(at.run),
    }
    keys: LogFields = {"error_code": error["code"]} if error else {}
    at.emit("run ended", values, by, **keys)


_MEASURED: Mapping[str, Callable[[_Appended], None]] = {
    "run.started": _started,
    "agent.message.completed": _replied,
    "agent.tool_call.completed": _call_ended,
    "agent.tool_call.failed": _call_ended,
    "run.paused": _paused,
    "input_request.expired": _expired,
    "run.resumed": _resumed,
    "run.recovered": _recovered,
    "run.completed": _ended,
    "run.failed": _ended,
    "run.canceled": _ended,
}


def _milliseconds(since: str, until: str) -> float:
    # Two processes may have written the two, each with a clock of its own.
    elapsed = parse(until) - parse(since)
    return max(0.0, elapsed.total_seconds() * 1000)
