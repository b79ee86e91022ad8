"""What each type of event changes in the state of a run."""

from collections.abc import Callable, Mapping
from typing import Any, cast

from runyard_service.domain.clock import parse
from runyard_service.domain.costs import from_number
from runyard_service.domain.event_payloads.input_requests import ApprovalResolved, LimitParams
from runyard_service.domain.event_payloads.messages import ContextCompacted, MessageCompleted
from runyard_service.domain.event_payloads.operations import OperationRef
from runyard_service.domain.event_payloads.tool_calls import ToolsListed
from runyard_service.domain.events import Event
from runyard_service.domain.history.state import MODEL_CALL, RunState
from runyard_service.domain.runs import RunStatus, Usage
from runyard_service.domain.steps import InputRequestState, StepRecord, ToolCallState

_END_STATUS: Mapping[str, RunStatus] = {
    "run.completed": "completed",
    "run.failed": "failed",
    "run.canceled": "canceled",
}


def _on_tools_listed(state: RunState, event: Event) -> None:
    data = cast(ToolsListed, event.data)
    state.tool_lists[data["server"]] = data
    state.lost_executions = 0


def _on_delta(state: RunState, _: Event) -> None:
    state.has_partial_message = True


def _count_invocation(state: RunState, ref: Mapping[str, Any]) -> None:
    state.invocations = max(state.invocations, ref.get("invocation", 0))


def _on_message(state: RunState, event: Event) -> None:
    data = cast(MessageCompleted, event.data)
    _count_invocation(state, data.get("op", {}))
    step = StepRecord(message=data)
    # The agent's own code decides what it does with the calls in a response that it requested.
    for call in () if "op" in data else data.get("tool_calls", ()):
        requested = ToolCallState(call["id"], call["name"], call["input"], data["iteration"])
        step.calls.append(requested)
        state.tool_calls[requested.id] = requested
    state.steps.append(step)
    state.has_partial_message = False
    state.lost_executions = 0
    state.failed_attempts.pop(MODEL_CALL, None)
    state.truncated_by = data.get("truncated_by", "")
    state.usage = state.usage.plus(Usage.of_message(data))


def _on_compacted(state: RunState, event: Event) -> None:
    state.compaction = cast(ContextCompacted, event.data)
    state.lost_executions = 0
    state.failed_attempts.pop(MODEL_CALL, None)
    # The call that writes a summary costs tokens and USD. It is no step.
    state.usage = state.usage.plus(Usage.reported(state.compaction["usage"], steps=0))


def _on_call_started(state: RunState, event: Event) -> None:
    if "op" in event.data:
        _open(state, event, event.data["tool"]["name"], event.data["op"])
    state.tool_calls[event.data["id"]].phase = "started"


def _open(state: RunState, event: Event, name: str, op: OperationRef) -> None:
    data = event.data
    _count_invocation(state, op)
    call = ToolCallState(
        data["id"], name, data.get("input", {}), data.get("iteration", 0), "started", op=op
    )
    state.tool_calls[call.id] = state.open_operations[call.id] = call


def _on_step_started(state: RunState, event: Event) -> None:
    _count_invocation(state, event.data)
    key, digest = event.data["key"], event.data["digest"]
    _open(state, event, event.data["name"], {"key": key, "digest": digest, "kind": "step"})


def _on_step_done(state: RunState, event: Event) -> None:
    _count_invocation(state, event.data)
    state.open_operations.pop(event.data["id"], None)
    state.lost_executions = 0
    state.usage = state.usage.plus(Usage.of_step(event.data))


def _on_emitted(state: RunState, event: Event) -> None:
    _count_invocation(state, event.data)
    state.lost_executions = 0


def _on_call_done(state: RunState, event: Event) -> None:
    call = state.tool_calls[event.data["id"]]
    call.phase, call.outcome = "done", event
    state.open_operations.pop(call.id, None)
    state.lost_executions = 0


def _on_call_input_required(state: RunState, event: Event) -> None:
    call = state.tool_calls[event.data["id"]]
    call.phase = "input_required"
    call.rounds.append(event)
    state.lost_executions = 0


def _on_input_requested(state: RunState, event: Event) -> None:
    request = InputRequestState(event)
    if "tool_call_id" in event.data:
        call = request.call = state.tool_calls[event.data["tool_call_id"]]
        call.phase, call.request_count = "asked", call.request_count + 1
        call.request, call.answer = event, None
    state.input_requests[request.id] = request


def _on_input_closed(state: RunState, event: Event) -> None:
    request = state.input_requests[event.data["id"]]
    request.answer = event
    state.lost_executions = 0
    if request.call is not None:
        # A server can ask several things at once: its call follows with all answers.
        if all(each.call is not request.call for each in state.open_requests):
            request.call.phase = "answered"
        request.call.answer = event
        request.call.answers[request.id] = event
        if event.data.get("is_approved"):
            request.call.approved_input = event.data["effective_params"]
    elif request.limit and event.data.get("is_approved"):
        resolved = cast(ApprovalResolved, event.data)
        params = cast(LimitParams, resolved["effective_params"])
        state.limit_overrides[request.limit] = from_number(params["new_limit"])
        state.truncated_by = ""


def _on_started(state: RunState, event: Event) -> None:
    state.code = event.data.get("code", {})
    state.status, state.active_since = "started", parse(event.timestamp)


def _on_code_changed(state: RunState, event: Event) -> None:
    state.code = event.data["code"]


def _on_paused(state: RunState, event: Event) -> None:
    state.past_active_time = state.active_time(parse(event.timestamp))
    state.status, state.active_since = "paused", None
    state.paused_at = event.sequence
    state.sleeps_until = event.data.get("until", "")


def _on_resumed(state: RunState, event: Event) -> None:
    # A run that is active resumes too: own code worked while an input request was open.
    if state.active_since is None:
        state.active_since = parse(event.timestamp)
    state.status = "started"
    state.sleeps_until = ""
    for call in state.unfinished:
        if call.phase == "answered":
            call.phase = "resumed"


def _on_recovered(state: RunState, event: Event) -> None:
    state.recoveries += 1
    state.lost_executions += event.data.get("reason") in ("execution_ended", "token_rejected")
    state.has_partial_message = False
    if "route" in event.data:
        state.failed_attempts.pop(MODEL_CALL, None)
        state.route = event.data["route"]
        state.failed_routes[event.data["failed_route"]] = event.data["error"]["message"]


def _on_retrying(state: RunState, event: Event) -> None:
    call_id = event.data.get("tool_call_id", MODEL_CALL)
    state.failed_attempts[call_id] = event.data["attempt"]


def _on_ended(state: RunState, event: Event) -> None:
    state.status, state.terminal = _END_STATUS[event.type], event


# Other types have no effect: run.cancel_requested, and types of later releases.
HANDLERS: Mapping[str, Callable[[RunState, Event], None]] = {
    "agent.tools.listed": _on_tools_listed,
    "agent.reasoning.delta": _on_delta,
    "agent.response.delta": _on_delta,
    "agent.message.completed": _on_message,
    "agent.context.compacted": _on_compacted,
    "agent.tool_call.started": _on_call_started,
    "agent.tool_call.completed": _on_call_done,
    "agent.tool_call.failed": _on_call_done,
    "agent.tool_call.input_required": _on_call_input_required,
    "agent.step.started": _on_step_started,
    "agent.step.completed": _on_step_done,
    "agent.step.failed": _on_step_done,
    "agent.emitted": _on_emitted,
    "agent.human_feedback.requested": _on_input_requested,
    "approval_request.created": _on_input_requested,
    "agent.human_feedback.received": _on_input_closed,
    "approval_request.resolved": _on_input_closed,
    "input_request.expired": _on_input_closed,
    "run.started": _on_started,
    "run.paused": _on_paused,
    "run.resumed": _on_resumed,
    "run.recovered": _on_recovered,
    "run.retrying": _on_retrying,
    "run.code_changed": _on_code_changed,
    "run.completed": _on_ended,
    "run.failed": _on_ended,
    "run.canceled": _on_ended,
}
