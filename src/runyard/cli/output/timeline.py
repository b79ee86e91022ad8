"""What each event of a run says, in a few words: the rows of `runyard run` and `follow`.

A row is for a person. Its texts are not escaped: the code that prints them does that.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from runyard.cli.output.escape import compact_json

RowKind = Literal["done", "failed", "waits", "again", "note"]
Data = Mapping[str, Any]

DELTAS = frozenset({"agent.response.delta", "agent.reasoning.delta"})


@dataclass(frozen=True)
class Row:
    """One row: its kind, its name, its duration in milliseconds if known, and its detail."""

    kind: RowKind
    name: str
    detail: str = ""
    duration_ms: int | None = None


class Timeline:
    """Turn the events of a run into rows. It needs them in order, from any event on."""

    def __init__(self) -> None:
        """Start without an event."""
        self._started: dict[str, datetime] = {}
        self._turn_started: datetime | None = None
        self._names: dict[str, str] = {}
        self.activity = "starts"
        """What the run does now, for a spinner."""

    def row(self, event: Mapping[str, Any]) -> Row | None:
        """Return the row of the event; None if it needs none."""
        type_, data, at = event["type"], event["data"], parse_time(event["timestamp"])
        if type_ in DELTAS:
            self.activity = "thinks" if type_ == "agent.reasoning.delta" else "writes"
            return None
        row = self._timed(type_, data, at)
        if row is None and type_ not in _WITHOUT_ROW:
            describe = _DESCRIPTIONS.get(type_)
            row = describe(data) if describe else Row("note", "event", type_)
        self._turn_started = at
        return row

    def _timed(self, type_: str, data: Data, at: datetime) -> Row | None:
        """Return the row of an event that ends something, with its duration."""
        if type_ == "agent.message.completed":
            return Row("done", f"turn {data['iteration']}", _tokens(data), self._since_turn(at))
        if type_ in ("agent.tool_call.started", "agent.step.started"):
            self._started[_key(data)] = at
            self._names[_key(data)] = self.activity = _name(data)
        elif type_ in ("agent.tool_call.completed", "agent.step.completed"):
            return Row("done", _name(data), _result(data), self._since(data, at))
        elif type_ in ("agent.tool_call.failed", "agent.step.failed"):
            return Row("failed", _name(data), _error(data), self._since(data, at))
        elif type_ == "agent.tool_call.progress":
            self.activity = _progress(self._names.get(data["id"], "a tool"), data)
        elif type_ in ("run.started", "run.resumed"):
            self.activity = "thinks"
            self._started = dict.fromkeys(self._started, at)  # The wait is no part of a call.
        return None

    def _since_turn(self, at: datetime) -> int | None:
        return None if self._turn_started is None else _milliseconds(self._turn_started, at)

    def _since(self, data: Data, at: datetime) -> int | None:
        started = self._started.pop(_key(data), None)
        return None if started is None else _milliseconds(started, at)


def agent_name(run: Mapping[str, Any]) -> str:
    """Return the agent of a run as `name@version`; empty if the service does not say it."""
    agent = run.get("agent")
    if isinstance(agent, Mapping):
        return f"{agent.get('name')}@{agent.get('version')}"
    return str(agent or "")


def parse_time(text: str) -> datetime:
    """Return a time of the API."""
    return datetime.fromisoformat(text)


def format_age(time: str) -> str:
    """Return how long ago a time of the API was."""
    age = datetime.now(UTC) - parse_time(time)
    return format_duration(max(0, round(age.total_seconds() * 1000)))


def format_duration(milliseconds: int) -> str:
    """Return a duration such as `210 ms`, `2.4 s`, `3 min`, `2 h` or `5 days`."""
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    seconds = milliseconds / 1000
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    hours = round(minutes / 60)
    return f"{hours} h" if hours < 48 else f"{round(hours / 24)} days"


def format_usage(usage: Data) -> str:
    """Return tokens and cost, such as `82 in 22 out  $0.0021`; `$—` without a known price."""
    if "input_tokens" not in usage:
        return ""
    cost = usage.get("cost_usd")
    price = "$—" if cost is None else f"${cost:.4f}"
    return f"{usage['input_tokens']} in {usage['output_tokens']} out  {price}"


def _milliseconds(start: datetime, end: datetime) -> int:
    return max(0, round((end - start).total_seconds() * 1000))


def _key(data: Data) -> str:
    return str(data.get("id") or data.get("key"))


def _name(data: Data) -> str:
    tool = data.get("tool")
    return str(tool["name"] if tool else data.get("name", ""))


def _tokens(data: Data) -> str:
    usage = data.get("usage", {})
    if "input_tokens" not in usage:
        return ""
    return f"{usage['input_tokens']} in {usage['output_tokens']} out"


def _result(data: Data) -> str:
    result = data.get("result")
    text = result if isinstance(result, str) else compact_json(result)
    return f"{compact_json(data['input'])} -> {text}" if "input" in data else text


def _error(data: Data) -> str:
    error = data.get("error", {})
    return f"{error.get('code')}: {error.get('message')}"


def _progress(name: str, data: Data) -> str:
    total = f"/{data['total']}" if data.get("total") else ""
    return f"{name} {data.get('progress')}{total} {data.get('message', '')}".rstrip()


def _asks(data: Data) -> Row:
    tool = data.get("tool") or {}
    return Row("waits", tool.get("name", "input request"), f"asks: {data['prompt']}")


def _resolved(data: Data) -> Row:
    is_approved = data["is_approved"]
    changed = {
        name: value
        for name, value in (data.get("effective_params") or {}).items()
        if (data.get("proposed_params") or {}).get(name, value) != value
    }
    parts = [
        f"by {data['answered_by']}" if data.get("answered_by") else "",
        " ".join(f"{name}={compact_json(value)}" for name, value in changed.items()),
        str(data.get("feedback") or ""),
    ]
    detail = "  ".join(part for part in parts if part)
    return Row(
        "done" if is_approved else "failed", "approved" if is_approved else "rejected", detail
    )


def _received(data: Data) -> Row:
    if data.get("declined"):
        return Row("failed", "not answered", f"by {data.get('answered_by', '')}")
    answer = data.get("feedback")
    text = answer if isinstance(answer, str) else compact_json(answer)
    return Row("done", "answered", f"by {data.get('answered_by', '')}: {text}")


def _paused(data: Data) -> Row | None:
    return Row("waits", "sleeps", f"until {data['until']}") if data.get("until") else None


def _retrying(data: Data) -> Row:
    what = data.get("name") or data.get("what", "")
    detail = f"attempt {data.get('attempt')} at {data.get('next_at')}  {data.get('code', '')}"
    return Row("again", f"retries {what}", detail.rstrip())


def _completed(data: Data) -> Row:
    usage = data.get("usage", {})
    return Row("done", "completed", format_usage(usage), usage.get("duration_ms"))


def _failed(data: Data) -> Row:
    return Row("failed", "failed", _error(data), data.get("usage", {}).get("duration_ms"))


_WITHOUT_ROW = frozenset(
    {
        *("run.started", "run.resumed", "agent.tool_call.started", "agent.tool_call.progress"),
        *("agent.step.started", "agent.tool_call.input_required"),
    }
)

_DESCRIPTIONS: dict[str, Callable[[Data], Row | None]] = {
    "agent.tools.listed": lambda data: Row(
        "failed" if data.get("reason") else "done",
        f"tools of {data['server']}",
        str(data.get("reason") or f"{len(data.get('tools', []))} tools"),
    ),
    "agent.context.compacted": lambda data: Row("note", "compacted", str(data.get("reason", ""))),
    "agent.emitted": lambda data: Row("note", data["name"], compact_json(data.get("data"))),
    "agent.human_feedback.requested": _asks,
    "agent.human_feedback.received": _received,
    "approval_request.created": _asks,
    "approval_request.resolved": _resolved,
    "input_request.expired": lambda data: Row("failed", "expired", data.get("on_expiry", "")),
    "run.paused": _paused,
    "run.retrying": _retrying,
    "run.recovered": lambda data: Row("again", "recovered", str(data.get("reason", ""))),
    "run.cancel_requested": lambda data: Row(
        "note", "cancel", f"requested by {data.get('requested_by', '')}"
    ),
    "run.completed": _completed,
    "run.failed": _failed,
    "run.canceled": lambda _: Row("failed", "canceled"),
}
