"""The events of tool calls, and of the operations of an agent's own code."""

from collections.abc import Mapping, Sequence
from typing import Any

from runyard_service.application.steps.run_context import RunContext
from runyard_service.application.steps.tool_calls.actions import ResolveWithoutCall
from runyard_service.application.steps.tool_calls.next_action import tool_label
from runyard_service.domain.event_payloads.operations import OperationRef, StepPayload
from runyard_service.domain.event_payloads.runs import ErrorInfo
from runyard_service.domain.event_payloads.tool_calls import (
    ReturnedFilePayload,
    ToolCallCompleted,
    ToolCallFailed,
    ToolCallPayload,
)
from runyard_service.domain.events import NewEvent
from runyard_service.domain.steps import ToolCallState


def resolution_event(ctx: RunContext, call: ToolCallState, action: ResolveWithoutCall) -> NewEvent:
    """Return the event of a result that is known without a call."""
    if call.kind == "step" and call.op is not None:
        error = {"code": action.error_code or "skipped", "message": action.content}
        return NewEvent(
            type="agent.step.failed",
            data={**step_payload(call.op, call.id, call.name, "unsafe"), "error": error},
        )
    if action.error_code is None:
        return completed_event(ctx, call, call.input, action.content)
    return failed_event(ctx, call, call.input, action.error_code, action.content)


def completed_event(
    ctx: RunContext,
    call: ToolCallState,
    call_input: Mapping[str, Any],
    result: str,
    files: Sequence[ReturnedFilePayload] = (),
) -> NewEvent:
    """Return the event of a call with a result; `call_input` are the arguments that were used."""
    payload = call_payload(ctx, call, call_input)
    # mypy: "files" is missing from the other type. Below, it is set or stays missing.
    data: ToolCallCompleted = {**payload, "result": result}  # type: ignore[typeddict-item]
    if files:
        data["files"] = files
    return NewEvent(type="agent.tool_call.completed", data=data)


def failed_event(
    ctx: RunContext, call: ToolCallState, call_input: Mapping[str, Any], code: str, message: str
) -> NewEvent:
    """Return the event of a call with an error, which the model receives."""
    error: ErrorInfo = {"code": code, "message": message}
    data: ToolCallFailed = {**call_payload(ctx, call, call_input), "error": error}
    return NewEvent(type="agent.tool_call.failed", data=data)


def step_payload(op: OperationRef, id_: str, name: str, effect: str) -> StepPayload:
    """Return the data of an event about a step of an agent's own code."""
    return {
        "id": id_,
        "object": "agent.step",
        "key": op["key"],
        "digest": op["digest"],
        "name": name,
        "effect": effect,
    }


def call_payload(
    ctx: RunContext, call: ToolCallState, call_input: Mapping[str, Any] | None = None
) -> ToolCallPayload:
    """Return the data of an event about a call; `call_input` replaces its arguments."""
    data: ToolCallPayload = {
        "id": call.id,
        "object": "agent.tool_call",
        "input": call.input if call_input is None else call_input,
        "iteration": call.iteration,
        "tool": tool_label(ctx.definition, call.name, call.kind),
    }
    if call.op is not None:
        data["op"] = call.op
    return data
