"""The events of the operations that a response of an agent's own code reports or asks for."""

from collections.abc import Mapping
from typing import Any

from runyard_service.agents.code.protocol import (
    MAX_VALUE_BYTES,
    CodeResponse,
    Done,
    Emit,
    InvalidResponseError,
    Operation,
)
from runyard_service.agents.definitions.input_forms import size_of
from runyard_service.application.steps.run_context import RunContext
from runyard_service.application.steps.tool_calls.call_events import call_payload, step_payload
from runyard_service.domain.clock import parse, timestamp, timestamp_in
from runyard_service.domain.event_payloads.operations import OperationRef
from runyard_service.domain.events import NewEvent
from runyard_service.domain.ids import derived_id
from runyard_service.domain.steps import ToolCallState


def events_of_done(
    ctx: RunContext, response: CodeResponse, allowed: Mapping[str, ToolCallState]
) -> list[NewEvent]:
    """Return what the function did. Raise InvalidResponseError for a step not allowed."""
    events = [_done_event(ctx, done, allowed) for done in response.done]
    return [*events, *(_emitted_event(ctx, emit) for emit in response.emits)]


def _emitted_event(ctx: RunContext, emit: Emit) -> NewEvent:
    """Return an event of the agent's own. Raise InvalidResponseError for too much data."""
    if size_of(emit.data) > MAX_VALUE_BYTES:
        raise InvalidResponseError(f"The data of {emit.key} is larger than 256 KB.")
    ref = {"key": emit.key, "digest": emit.digest, "invocation": ctx.invocations}
    return NewEvent(type="agent.emitted", data={**ref, "name": emit.name, "data": emit.data})


def _done_event(ctx: RunContext, done: Done, allowed: Mapping[str, ToolCallState]) -> NewEvent:
    """Return the result of a step. Raise InvalidResponseError for a step without leave."""
    if done.effect == "unsafe" and done.key not in allowed:
        raise InvalidResponseError(
            f"The function ran the unsafe step {done.key}, which was not in may_run."
        )
    if size_of(done.value) > MAX_VALUE_BYTES:
        raise InvalidResponseError(f"The value of {done.key} is larger than 256 KB.")
    ref: OperationRef = {
        "key": done.key,
        "digest": done.digest,
        "kind": "step",
        "invocation": ctx.invocations,
    }
    data: dict[str, Any] = dict(step_payload(ref, _id(ctx, done.key), done.name, done.effect))
    if done.usage is not None:
        data["usage"] = done.usage.to_json()
    if done.error is not None:
        return NewEvent(type="agent.step.failed", data={**data, "error": done.error.to_json()})
    return NewEvent(type="agent.step.completed", data={**data, "result": done.value})


def start_event(ctx: RunContext, operation: Operation) -> NewEvent:
    """Return the start of an operation, which this worker may do from now on."""
    id_ = _id(ctx, operation.key)
    ctx.dispatched_here.add(id_)
    ref = operation.ref(ctx.invocations)
    if operation.op == "step":
        data = step_payload(ref, id_, operation.name, "unsafe")
        return NewEvent(type="agent.step.started", data=data)
    arguments = operation.args
    if operation.op == "sleep":
        arguments = {"until": _wake_time(operation)}
    call = ToolCallState(id_, operation.name, arguments, len(ctx.history.steps), op=ref)
    return NewEvent(type="agent.tool_call.started", data=call_payload(ctx, call))


def _id(ctx: RunContext, key: str) -> str:
    return derived_id(ctx.journal.run.id, key)


def _wake_time(operation: Operation) -> str:
    """Return when a sleep ends (RFC 3339)."""
    args = operation.args
    try:
        if "until" in args:
            return timestamp(parse(args["until"]))
        return timestamp_in(float(args["seconds"]))
    except (KeyError, TypeError, ValueError, OverflowError):
        raise InvalidResponseError(f"{operation.key} needs seconds or until.") from None
