"""Log events and their types in the Threads API: every type of both sides is covered."""

from collections.abc import Mapping
from typing import Any

import pytest

from runyard_service.api.threads.event_views import event_view
from runyard_service.domain.events import EVENT_TYPES, Event
from runyard_service.domain.runs import Run

RUN = Run(
    id="8c2c8e2e-2f0a-4f4e-9f4f-6e1a52f0a001",
    project_id="p",
    org_id="o",
    app_id="a",
    agent="assistant@1",
    definition_digest="d",
    input={},
    started_at="2026-06-10T09:15:21.000Z",
    route_id="fast",
    model="claude-haiku-4-5",
    trace_id="0" * 32,
)
USAGE = {"input_tokens": 3, "output_tokens": 1, "cache_write_tokens": 2}
RUN_USAGE = {**USAGE, "steps": 1}
CALL = {
    "id": "call",
    "object": "agent.tool_call",
    "input": {"x": 1},
    "iteration": 1,
    "tool": {"name": "look", "type": "http-api-call"},
}
LISTED = {
    "server": "crm",
    "protocol": "2026-07-28",
    "digest": "d",
    "tools": [
        {
            "name": "look",
            "as": "crm_look",
            "description": "Looks.",
            "parameters": {"type": "object"},
            "annotations": {},
        }
    ],
}
PROGRESS = {"id": "call", "progress": 1, "total": 2, "message": "half"}
REQUIRED = {"id": "call", "round": 1, "requests": {"why": {"message": "Why?"}}}
STEP = {
    "id": "step",
    "object": "agent.step",
    "key": "step:pay#1",
    "digest": "d",
    "name": "pay",
    "effect": "unsafe",
}
STEP_ERROR = {"code": "step_error", "message": "no money", "type": "ValueError"}
EMITTED = {"key": "emit:loaded#1", "digest": "d", "name": "loaded", "data": {"id": 7}}
CALL_VIEW = {"tool_call_id": "call", "tool_name": "look"}
COMPACTED = {
    "object": "agent.context",
    "iteration": 9,
    "reason": "size",
    "through": 2,
    "thread_messages": 0,
    "cut": {"through": 8, "bytes": 2000},
    "summary": "The user asked for a refund.",
    "usage": USAGE,
    "model": "claude-haiku-4-5",
}

# Events of the log as in `spec/event-catalogue.md`, and their form in the Threads API.
CATALOGUE: dict[str, tuple[Mapping[str, Any], str, Mapping[str, Any]]] = {
    "run.started": (
        {"id": RUN.id, "object": "run", "status": "started"},
        "run.started",
        {
            "route_id": "fast",
            "persona_id": "assistant@1",
            "model": "claude-haiku-4-5",
            "trace_id": "0" * 32,
        },
    ),
    "agent.tools.listed": (LISTED, "agent.tools.listed", LISTED),
    "agent.reasoning.delta": (
        {"object": "agent.reasoning", "delta": "hm", "iteration": 1},
        "message.delta",
        {"content": "hm", "role": "assistant", "channel": "thinking"},
    ),
    "agent.response.delta": (
        {"object": "agent.response", "delta": "hi", "iteration": 1},
        "message.delta",
        {"content": "hi", "role": "assistant"},
    ),
    "agent.message.completed": (
        {
            "object": "agent.message",
            "content": "hi",
            "iteration": 1,
            "usage": USAGE,
            "model": "claude-haiku-4-5",
        },
        "message.completed",
        {"content": "hi", "role": "assistant", "usage": USAGE},
    ),
    "agent.context.compacted": (COMPACTED, "agent.context.compacted", COMPACTED),
    "agent.tool_call.started": (CALL, "tool.call", {**CALL_VIEW, "arguments": {"x": 1}}),
    "agent.tool_call.progress": (PROGRESS, "agent.tool_call.progress", PROGRESS),
    "agent.tool_call.input_required": (
        REQUIRED,
        "agent.tool_call.input_required",
        REQUIRED,
    ),
    "agent.tool_call.completed": (
        {**CALL, "result": "found"},
        "tool.result",
        {**CALL_VIEW, "result": "found"},
    ),
    "agent.tool_call.failed": (
        {**CALL, "error": {"code": "http_503", "message": "HTTP 503"}},
        "tool.result",
        {**CALL_VIEW, "error": {"code": "http_503", "message": "HTTP 503"}},
    ),
    "agent.step.started": (STEP, "agent.step.started", STEP),
    "agent.step.completed": (
        {**STEP, "result": {"paid": 1}},
        "agent.step.completed",
        {**STEP, "result": {"paid": 1}},
    ),
    "agent.step.failed": (
        {**STEP, "error": STEP_ERROR},
        "agent.step.failed",
        {**STEP, "error": STEP_ERROR},
    ),
    "agent.emitted": (EMITTED, "agent.emitted", EMITTED),
    "agent.human_feedback.requested": (
        {"id": "q", "object": "agent.human_feedback", "prompt": "Which?", "params": {"a": 1}},
        "run.waiting_for_input",
        {"request_id": "q", "type": "human_feedback", "prompt": "Which?", "params": {"a": 1}},
    ),
    "agent.human_feedback.received": (
        {"id": "q", "feedback": "this", "answered_by": "key_1"},
        "run.input_provided",
        {"request_id": "q", "content": "this"},
    ),
    "approval_request.created": (
        {
            "id": "q",
            "object": "approval_request",
            "prompt": "Pay?",
            "params": {"amount": 1},
            "editable_params": ["amount"],
            "tool": {"name": "pay", "type": "http-api-call", "effect": "unsafe"},
            "expires_at": "2026-06-10T10:00:00.000Z",
        },
        "run.waiting_for_input",
        {
            "request_id": "q",
            "type": "approval_request",
            "prompt": "Pay?",
            "params": {"amount": 1},
            "editable_params": ["amount"],
            "expires_at": "2026-06-10T10:00:00.000Z",
        },
    ),
    "approval_request.resolved": (
        {
            "id": "q",
            "is_approved": False,
            "feedback": "no",
            "proposed_params": {},
            "effective_params": {},
            "answered_by": "key_1",
        },
        "run.input_provided",
        {"request_id": "q", "is_approved": False, "content": "no"},
    ),
    "input_request.expired": (
        {"id": "q", "on_expiry": "fail"},
        "run.input_expired",
        {"request_id": "q"},
    ),
    "run.paused": (
        {"id": RUN.id, "object": "run", "status": "paused"},
        "run.paused",
        {"reason": "waiting_for_input"},
    ),
    "run.resumed": ({"id": RUN.id, "object": "run", "status": "started"}, "run.resumed", {}),
    "run.recovered": (
        {"id": RUN.id, "reason": "step_interrupted", "attempt": 1},
        "run.recovered",
        {"reason": "step_interrupted", "attempt": 1},
    ),
    "run.retrying": (
        {
            "id": RUN.id,
            "object": "run",
            "what": "tool",
            "name": "look",
            "tool_call_id": "call",
            "attempt": 2,
            "code": "http_503",
            "next_at": "2026-06-10T09:15:23.500Z",
        },
        "run.retrying",
        {
            "what": "tool",
            "name": "look",
            "tool_call_id": "call",
            "attempt": 2,
            "code": "http_503",
            "next_at": "2026-06-10T09:15:23.500Z",
        },
    ),
    "run.code_changed": (
        {
            "id": RUN.id,
            "object": "run",
            "code": {"function": "runyard-agent-claims", "version": "8", "sha256": "s"},
            "previous": {"function": "runyard-agent-claims", "version": "7", "sha256": "s"},
            "requested_by": "key_1",
        },
        "run.code_changed",
        {
            "code": {"function": "runyard-agent-claims", "version": "8", "sha256": "s"},
            "previous": {"function": "runyard-agent-claims", "version": "7", "sha256": "s"},
            "requested_by": "key_1",
        },
    ),
    "run.cancel_requested": (
        {"id": RUN.id, "requested_by": "key_1", "last_seen_seq": 4},
        "run.cancel_requested",
        {"requested_by": "key_1", "last_seen_seq": 4},
    ),
    "run.completed": (
        {
            "id": RUN.id,
            "object": "run",
            "status": "completed",
            "output": {"content": "hi"},
            "usage": {**RUN_USAGE, "cost_usd": 0.005},
        },
        "run.completed",
        {"usage": {**RUN_USAGE, "cost_usd": 0.005}, "cost": 0.005},
    ),
    "run.failed": (
        {
            "id": RUN.id,
            "object": "run",
            "status": "failed",
            "error": {"code": "model_rejected", "message": "No."},
            "usage": RUN_USAGE,
        },
        "run.failed",
        {"error_class": "model_rejected", "message": "No."},
    ),
    "run.canceled": ({"id": RUN.id, "object": "run", "status": "canceled"}, "run.cancelled", {}),
}
# Every type that the Threads API may send to a client.
THREAD_TYPES = {
    *("run.started", "message.delta", "message.completed", "tool.call", "tool.result"),
    *("run.waiting_for_input", "run.input_provided", "run.input_expired", "run.paused"),
    *("run.resumed", "run.recovered", "run.retrying", "run.code_changed", "run.cancel_requested"),
    *("agent.tools.listed", "agent.tool_call.progress", "agent.tool_call.input_required"),
    *("agent.step.started", "agent.step.completed", "agent.step.failed", "agent.emitted"),
    *("run.completed", "run.failed", "run.cancelled", "agent.context.compacted"),
}


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_every_event_appears_once_with_its_own_sequence(event_type: str) -> None:
    data, view_type, view_data = CATALOGUE[event_type]
    event = Event(id="e", type=event_type, sequence=7, timestamp="2026-06-10T09:15:22Z", data=data)
    assert event_view(event, RUN) == {
        "seq": 7,
        "type": view_type,
        "data": view_data,
        "created_at": "2026-06-10T09:15:22Z",
        "run_id": RUN.id,
    }


def test_every_type_of_the_threads_api_comes_from_an_event() -> None:
    assert {view_type for _, view_type, _ in CATALOGUE.values()} == THREAD_TYPES


def test_a_pause_says_until_when_own_code_sleeps() -> None:
    waits = {"reason": "sleeping", "until": "2026-06-10T10:00:00.000Z"}
    data = {"id": RUN.id, "object": "run", "status": "paused", **waits}
    assert event_view(Event("e", "run.paused", 1, "t", data), RUN)["data"] == waits


def test_an_operation_of_own_code_has_the_form_of_a_tool_call() -> None:
    op = {"key": "tool:look#1", "digest": "d", "kind": "tool"}
    event = Event("e", "agent.tool_call.completed", 1, "t", {**CALL, "op": op, "result": "found"})
    assert event_view(event, RUN)["data"] == {**CALL_VIEW, "result": "found"}


def test_an_event_of_a_later_release_is_sent_unchanged() -> None:
    event = Event(id="e", type="run.teleported", sequence=1, timestamp="t", data={"to": "mars"})
    view = event_view(event, RUN)
    assert (view["type"], view["data"]) == ("run.teleported", {"to": "mars"})


def test_a_declined_request_has_no_content() -> None:
    data = {"id": "q", "declined": True, "answered_by": "key_1"}
    event = Event("e", "agent.human_feedback.received", 1, "t", data)
    assert event_view(event, RUN)["data"] == {"request_id": "q", "content": None, "declined": True}


def test_the_files_of_a_result_are_named() -> None:
    files = [{"id": "f", "name": "a.png", "mime_type": "image/png", "size": 3}]
    data = {**CALL, "result": "seen", "files": files}
    event = Event("e", "agent.tool_call.completed", 1, "t", data)
    assert event_view(event, RUN)["data"]["files"] == files


def test_a_run_without_a_known_price_has_no_cost() -> None:
    data = {"output": {}, "usage": USAGE}
    event = Event(id="e", type="run.completed", sequence=1, timestamp="t", data=data)
    assert event_view(event, RUN)["data"]["cost"] is None
