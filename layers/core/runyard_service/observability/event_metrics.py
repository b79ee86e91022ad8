"""Emit the metrics of an event that was just appended.

The writer of the event emits them once the event is in the log. So the sum of a metric equals the
number of events, unless a process dies between the write and the emit.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Unpack, cast

from runyard_service.domain.clock import parse
from runyard_service.domain.event_payloads.runs import RunFailed
from runyard_service.domain.events import Event
from runyard_service.domain.history.history import History
from runyard_service.domain.runs import Run, agent_name
from runyard_service.observability import metrics
from runyard_service.observability.metrics import Dimension, LogFields, Metric, record

# Failures caused by a limit, a daily cap, or a person who decided or did not answer.
_DECIDED = frozenset(
    {"limit_exceeded", "input_expired", "tool_call_in_doubt", "guardrail_intervened"}
)


def agent_key(run: Run) -> str:
    """Return the agent's name without its version: the number of versions has no limit."""
    return agent_name(run.agent)


@dataclass(frozen=True)
class _Appended:
    """An event, its run, and the run's history up to and including the event."""

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
    """Emit the metrics of the event, if its type has any; `history` ends with the event."""
    if measure := _MEASURES.get(event.type):
        measure(_Appended(run, history, event))


def _measure_start(at: _Appended) -> None:
    waited = _milliseconds(at.run.started_at, at.event.timestamp)
    values = {metrics.RUNS_STARTED: 1, metrics.TIME_TO_FIRST_EVENT: waited}
    at.emit("run started", values, {"Agent": agent_key(at.run)})


def _measure_response(at: _Appended) -> None:
    _measure_usage(at, "response recorded")


def _measure_compaction(at: _Appended) -> None:
    _measure_usage(at, "context compacted")


def _measure_usage(at: _Appended, fact: str) -> None:
    usage = at.event.data.get("usage", {})
    values = {
        metrics.INPUT_TOKENS: usage.get("input_tokens", 0),
        metrics.OUTPUT_TOKENS: usage.get("output_tokens", 0),
        metrics.CACHED_INPUT_TOKENS: usage.get("cached_input_tokens", 0),
    }
    if "cost_usd" in usage:
        values[metrics.COST_USD] = usage["cost_usd"]
    at.emit(fact, values, {"Agent": agent_key(at.run)})


def _measure_tool_call(at: _Appended) -> None:
    outcome = at.event.type.removeprefix("agent.tool_call.")
    keys: LogFields = {"tool": at.event.data.get("tool", {}).get("name", "")}
    if error := at.event.data.get("error"):
        keys["error_code"] = error["code"]
    counted: dict[Metric, float] = {metrics.TOOL_CALLS: 1}
    at.emit("tool call ended", counted, {"Outcome": outcome}, **keys)


def _measure_pause(at: _Appended) -> None:
    at.emit("run paused", {metrics.RUNS_PAUSED: 1})


def _measure_expiry(at: _Appended) -> None:
    at.emit("answer expired", {metrics.ANSWERS: 1}, {"Outcome": "expired"})


def _measure_resume(at: _Appended) -> None:
    if answer := at.history.last_answer:
        waited = _milliseconds(answer.timestamp, at.event.timestamp)
        at.emit("run resumed", {metrics.ANSWER_TO_RESUME: waited})


def _measure_recovery(at: _Appended) -> None:
    data = at.event.data
    keys: LogFields = {"reason": data["reason"]}
    if route := data.get("route"):
        keys = {**keys, "route": route, "failed_route": data["failed_route"]}
    if provider := data.get("error", {}).get("provider"):
        keys = {**keys, "provider": provider}
    at.emit("run recovered", {metrics.RUNS_RECOVERED: 1}, **keys)


def _measure_end(at: _Appended) -> None:
    failed = cast(RunFailed, at.event.data) if at.event.type == "run.failed" else None
    error = failed["error"] if failed else None
    is_failure = error is not None and error["code"] not in _DECIDED
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
    if error and (provider := error.get("provider")):
        keys = {**keys, "provider": provider}
    at.emit("run ended", values, by, **keys)


_MEASURES: Mapping[str, Callable[[_Appended], None]] = {
    "run.started": _measure_start,
    "agent.message.completed": _measure_response,
    "agent.context.compacted": _measure_compaction,
    "agent.tool_call.completed": _measure_tool_call,
    "agent.tool_call.failed": _measure_tool_call,
    "run.paused": _measure_pause,
    "input_request.expired": _measure_expiry,
    "run.resumed": _measure_resume,
    "run.recovered": _measure_recovery,
    "run.completed": _measure_end,
    "run.failed": _measure_end,
    "run.canceled": _measure_end,
}


def _milliseconds(since: str, until: str) -> float:
    # Two processes with different clocks may have written the timestamps.
    elapsed = parse(until) - parse(since)
    return max(0.0, elapsed.total_seconds() * 1000)
