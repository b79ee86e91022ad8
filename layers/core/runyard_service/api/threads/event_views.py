"""Convert events of the log to events of the Threads API, one to one, with the same sequence.

The table maps each event type to a type of this API and a function that converts the data. Other
types come from a later release, and pass through unchanged.
"""

from collections.abc import Callable, Mapping
from typing import Any, cast

from runyard_service.agents.definitions.input_forms import feedback_as_text
from runyard_service.domain.event_payloads.input_requests import (
    ApprovalRequested,
    ApprovalResolved,
    FeedbackReceived,
    FeedbackRequested,
    InputExpired,
)
from runyard_service.domain.event_payloads.runs import RunCompleted, RunFailed
from runyard_service.domain.events import Event, EventType
from runyard_service.domain.runs import Run

_Data = Mapping[str, Any]
_View = Callable[[_Data, Run], dict[str, Any]]


def event_view(event: Event, run: Run) -> dict[str, Any]:
    """Return the event as streams send it."""
    view_type, data_of = _VIEWS.get(event.type, (event.type, _passthrough))  # type: ignore[call-overload]
    return {
        "seq": event.sequence,
        "type": view_type,
        "data": data_of(event.data, run),
        "created_at": event.timestamp,
        "run_id": run.id,
    }


def _passthrough(data: _Data, _: Run) -> dict[str, Any]:
    return dict(data)


def _without_run(data: _Data, _: Run) -> dict[str, Any]:
    """Return the data without the fields that the frame already contains."""
    return {name: value for name, value in data.items() if name not in ("id", "object", "status")}


def _started(_: _Data, run: Run) -> dict[str, Any]:
    return {
        "route_id": run.route_id or None,
        "persona_id": run.agent,
        "model": run.model or None,
        "trace_id": run.trace_id,
    }


def _delta(data: _Data, _: Run) -> dict[str, Any]:
    return {"content": data["delta"], "role": "assistant"}


def _thinking(data: _Data, run: Run) -> dict[str, Any]:
    return {**_delta(data, run), "channel": "thinking"}


def _message(data: _Data, _: Run) -> dict[str, Any]:
    return {"content": data["content"], "role": "assistant", "usage": data.get("usage", {})}


def _call(data: _Data, _: Run) -> dict[str, Any]:
    return {
        "tool_call_id": data["id"],
        "tool_name": data["tool"]["name"],
        "arguments": data["input"],
    }


def _result(data: _Data, _: Run) -> dict[str, Any]:
    outcome = "error" if "error" in data else "result"
    view = {
        "tool_call_id": data["id"],
        "tool_name": data["tool"]["name"],
        outcome: data[outcome],
    }
    return view | {"files": data["files"]} if "files" in data else view


def _input_request(data: _Data, _: Run) -> dict[str, Any]:
    request = cast(FeedbackRequested | ApprovalRequested, data)
    view = {
        "request_id": request["id"],
        "type": request["object"].removeprefix("agent."),
        "prompt": request["prompt"],
        "params": request["params"],
    }
    # Optional: editable arguments of an approval, and the expiry.
    further = ("editable_params", "expires_at", "on_expiry")
    return view | {name: data[name] for name in further if name in data}


def _feedback(data: _Data, _: Run) -> dict[str, Any]:
    received = cast(FeedbackReceived, data)
    view: dict[str, Any] = {
        "request_id": received["id"],
        "content": _text(received.get("feedback")),
    }
    return view | {"declined": True} if received.get("declined") else view


def _decision(data: _Data, _: Run) -> dict[str, Any]:
    resolved = cast(ApprovalResolved, data)
    return {
        "request_id": resolved["id"],
        "is_approved": resolved["is_approved"],
        "content": _text(resolved.get("feedback")),
    }


def _expired(data: _Data, _: Run) -> dict[str, Any]:
    return {"request_id": cast(InputExpired, data)["id"]}


def _paused(data: _Data, _: Run) -> dict[str, Any]:
    # An agent's own code can also wait for a time.
    waits = {name: data[name] for name in ("reason", "until") if name in data}
    return {"reason": "waiting_for_input", **waits}


def _completed(data: _Data, _: Run) -> dict[str, Any]:
    usage = cast(RunCompleted, data)["usage"]
    return {"usage": usage, "cost": usage.get("cost_usd")}


def _failed(data: _Data, _: Run) -> dict[str, Any]:
    error = cast(RunFailed, data)["error"]
    return {"error_class": error["code"], "message": error["message"]}


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else feedback_as_text(value)


_VIEWS: Mapping[EventType, tuple[str, _View]] = {
    "run.started": ("run.started", _started),
    "agent.tools.listed": ("agent.tools.listed", _passthrough),
    "agent.reasoning.delta": ("message.delta", _thinking),
    "agent.response.delta": ("message.delta", _delta),
    "agent.message.completed": ("message.completed", _message),
    "agent.context.compacted": ("agent.context.compacted", _passthrough),
    "agent.tool_call.started": ("tool.call", _call),
    "agent.tool_call.progress": ("agent.tool_call.progress", _passthrough),
    "agent.tool_call.input_required": ("agent.tool_call.input_required", _passthrough),
    "agent.tool_call.completed": ("tool.result", _result),
    "agent.tool_call.failed": ("tool.result", _result),
    "agent.step.started": ("agent.step.started", _passthrough),
    "agent.step.completed": ("agent.step.completed", _passthrough),
    "agent.step.failed": ("agent.step.failed", _passthrough),
    "agent.emitted": ("agent.emitted", _passthrough),
    "agent.human_feedback.requested": ("run.waiting_for_input", _input_request),
    "agent.human_feedback.received": ("run.input_provided", _feedback),
    "approval_request.created": ("run.waiting_for_input", _input_request),
    "approval_request.resolved": ("run.input_provided", _decision),
    "input_request.expired": ("run.input_expired", _expired),
    "run.paused": ("run.paused", _paused),
    "run.resumed": ("run.resumed", _without_run),
    "run.recovered": ("run.recovered", _without_run),
    "run.retrying": ("run.retrying", _without_run),
    "run.cancel_requested": ("run.cancel_requested", _without_run),
    "run.completed": ("run.completed", _completed),
    "run.failed": ("run.failed", _failed),
    "run.canceled": ("run.cancelled", _without_run),
}
