"""Decide the next action for an operation of own code: an input request, a sleep or a step."""

from runyard_service.agents.definitions.input_forms import feedback_as_text, validate_request
from runyard_service.application.steps.tool_calls.actions import (
    SKIPPED,
    Action,
    AllowStep,
    FailRun,
    ResolveWithoutCall,
    Sleep,
    check_size,
    format_errors,
)
from runyard_service.application.steps.tool_calls.requested_input import (
    doubt_request,
    own_approval_request,
    own_feedback_request,
)
from runyard_service.domain.errors import InputExpiredError, ToolInDoubtError
from runyard_service.domain.steps import CallOrigin, ToolCallState

# The operations of an agent's own code that are no calls of its tools.
OPERATION_TYPES = {
    "ask": "human-feedback",
    "approve": "approval",
    "sleep": "timer",
    "step": "own-code-step",
}


def operation_action(call: ToolCallState, origin: CallOrigin) -> Action:
    """Return what to do with an unfinished operation that is not the call of a tool."""
    match call.kind:
        case "sleep":
            return Sleep(call.input["until"])
        case "step":
            return _step_action(call, origin)
        case "approve":
            if call.phase == "resumed":
                return ResolveWithoutCall(_approval_result(call))
            return check_size(own_approval_request(call))
        case _:
            if call.phase == "resumed":
                return _after_own_feedback_request(call)
            ask = own_feedback_request(call)
            if issues := validate_request({"prompt": ask.prompt, **ask.params}):
                text = format_errors("The input request is invalid", issues)
                return ResolveWithoutCall(text, "invalid_arguments")
            return check_size(ask)


def _step_action(call: ToolCallState, origin: CallOrigin) -> Action:
    if call.phase == "resumed" and call.answer is not None:
        match call.answer.data.get("feedback"):
            case "repeat":
                pass
            case "skip":
                return ResolveWithoutCall(SKIPPED, "skipped")
            case _:
                return FailRun(ToolInDoubtError(f"the step {call.name} was interrupted"))
    if origin is CallOrigin.UNKNOWN:
        return doubt_request(call.name, {})
    return AllowStep()


def _approval_result(call: ToolCallState) -> str:
    assert call.answer is not None, "an operation is resumed only after its answer"
    if call.answer.type == "input_request.expired":
        return "expired"
    return "approved" if call.answer.data["is_approved"] else "denied"


def _after_own_feedback_request(call: ToolCallState) -> Action:
    assert call.answer is not None, "an operation is resumed only after its answer"
    data = call.answer.data
    if call.answer.type == "input_request.expired":
        if data["on_expiry"] == "use_default":
            return ResolveWithoutCall(feedback_as_text(call.input["default"]))
        return FailRun(InputExpiredError("the input request of ctx.ask expired"))
    if data.get("declined"):
        return ResolveWithoutCall("A person declined to answer.", "declined")
    return ResolveWithoutCall(feedback_as_text(data["feedback"]))
