"""Decide the next action for a tool call: execute, request input, wait, or resolve without a call.

The decision is pure: it reads only the state of the call and the definition of the agent.
"""

from collections.abc import Mapping
from typing import Any, Literal

from runyard_service.agents.definitions.conditions import may_hold
from runyard_service.agents.definitions.human_tools import AskHuman
from runyard_service.agents.definitions.input_forms import (
    feedback_as_text,
    validate_request,
)
from runyard_service.agents.definitions.json_schema.validation import validate
from runyard_service.agents.definitions.models import (
    OUTPUT_TOOL,
    AgentDefinition,
)
from runyard_service.agents.definitions.tools import ExecutableTool
from runyard_service.agents.mcp.elicitation import (
    awaits_newest_round,
)
from runyard_service.agents.tool_arguments import INVALID_ARGUMENTS, describe_invalid
from runyard_service.application.own_code.operations import OPERATION_TYPES, operation_action
from runyard_service.application.steps.tool_calls.actions import (
    SKIPPED,
    Action,
    Execute,
    FailRun,
    KeepWaiting,
    RequestInputs,
    ResolveWithoutCall,
    check_size,
    format_errors,
)
from runyard_service.application.steps.tool_calls.requested_input import (
    approval_request,
    doubt_request,
    elicited_requests,
    human_feedback_request,
)
from runyard_service.domain.errors import InputExpiredError, ToolInDoubtError
from runyard_service.domain.event_payloads.input_requests import InterruptedCallParams
from runyard_service.domain.event_payloads.operations import ToolLabel
from runyard_service.domain.steps import CallOrigin, ToolCallState

# The names of tool types in the Runs API.
_TOOL_TYPES = {
    "http": "http-api-call",
    "python": "python-function",
    "lambda": "lambda-function",
    "mcp": "mcp-tool",
    "ask_human": "human-feedback",
}


def tool_label(definition: AgentDefinition, name: str, kind: str = "tool") -> ToolLabel:
    """Return the tool, or the operation of this kind, as events name it: `{name, type}`."""
    if kind in OPERATION_TYPES:
        return {"name": name, "type": OPERATION_TYPES[kind]}
    tool = definition.tool(name)
    return {"name": name, "type": _TOOL_TYPES[tool.kind] if tool else "unknown"}


def next_action(definition: AgentDefinition, call: ToolCallState, origin: CallOrigin) -> Action:
    """Return what to do with an unfinished call.

    `CallOrigin.THIS_WORKER` means that the call was not made yet. With `CallOrigin.UNKNOWN`, a call
    of an unsafe tool may have been made, so a person decides.
    """
    if call.phase in ("asked", "answered"):
        return KeepWaiting()
    if call.kind in OPERATION_TYPES:
        return operation_action(call, origin)
    tool = definition.tool(call.name)
    if tool is None or INVALID_ARGUMENTS in call.input:
        return _resolve_unusable(definition, call, {})
    if issues := validate(tool.parameters, call.input):
        return _resolve_unusable(definition, call, issues)
    return _action_of_valid(definition, tool, call, origin)


def _action_of_valid(
    definition: AgentDefinition,
    tool: ExecutableTool | AskHuman,
    call: ToolCallState,
    origin: CallOrigin,
) -> Action:
    if call.phase == "input_required":
        return RequestInputs(elicited_requests(definition, call))
    if call.phase == "resumed":
        return _after_answer(tool, call, origin)
    if isinstance(tool, AskHuman):
        if issues := validate_request(call.input):
            return _resolve_unusable(definition, call, issues)
        return check_size(human_feedback_request(tool, call))
    if tool.approval and (tool.approval.when is None or may_hold(tool.approval.when, call.input)):
        return check_size(approval_request(tool, call))
    if call.phase == "started" and origin is CallOrigin.UNKNOWN and tool.effect == "unsafe":
        return doubt_request(tool.name, call.input)
    return Execute(tool, call.input)


def _resolve_unusable(
    definition: AgentDefinition, call: ToolCallState, issues: Mapping[str, str]
) -> ResolveWithoutCall:
    is_output = call.name == OUTPUT_TOOL and definition.output_schema is not None
    if INVALID_ARGUMENTS in call.input:
        code = "output_invalid" if is_output else "invalid_arguments"
        return ResolveWithoutCall(describe_invalid(call.input), code)
    if is_output:
        issues = validate(definition.output_schema or {}, call.input) or {
            OUTPUT_TOOL: "must be called alone, once the results of the other calls are known"
        }
        return ResolveWithoutCall(format_errors("The output is invalid", issues), "output_invalid")
    if not issues:
        return ResolveWithoutCall(f"There is no tool {call.name[:200]!r}.", "unknown_tool")
    return ResolveWithoutCall(
        format_errors("The arguments do not match the tool's schema", issues), "invalid_arguments"
    )


def _after_answer(
    tool: ExecutableTool | AskHuman, call: ToolCallState, origin: CallOrigin
) -> Action:
    answer = call.answer
    assert answer is not None, "a call is resumed only after its answer"
    data = answer.data
    if not isinstance(tool, AskHuman) and awaits_newest_round(call):
        call_input = call.input if call.approved_input is None else call.approved_input
        return _execute_or_ask(tool, call_input, origin)
    if answer.type == "input_request.expired":
        return _after_expiry(tool, data["on_expiry"])
    if isinstance(tool, AskHuman):
        if data.get("declined"):
            return ResolveWithoutCall("A person declined to answer.", "declined")
        return ResolveWithoutCall(feedback_as_text(data["feedback"]))
    if answer.type == "approval_request.resolved":
        if not data["is_approved"]:
            return ResolveWithoutCall(_denial(data.get("feedback")), "denied")
        return _execute_or_ask(tool, data["effective_params"], origin)
    match data["feedback"]:
        case "repeat":
            return _execute_or_ask(tool, _input_in_doubt(call), origin)
        case "skip":
            return ResolveWithoutCall(SKIPPED, "skipped")
        case _:
            return FailRun(ToolInDoubtError(f"the call of {tool.name} was interrupted"))


def _execute_or_ask(
    tool: ExecutableTool, call_input: Mapping[str, Any], origin: CallOrigin
) -> Action:
    if origin is CallOrigin.UNKNOWN and tool.effect == "unsafe":
        return doubt_request(tool.name, call_input)
    return Execute(tool, call_input)


def _input_in_doubt(call: ToolCallState) -> Mapping[str, Any]:
    """Return the arguments of the call in doubt, with the changes of an earlier approval."""
    assert call.request is not None
    params: InterruptedCallParams = call.request.data["params"]
    return params["input"]


def _denial(reason: Any) -> str:
    return f"A person denied this call: {reason}" if reason else "A person denied this call."


def _after_expiry(
    tool: ExecutableTool | AskHuman,
    on_expiry: Literal["fail", "deny", "use_default", "keep_waiting"],
) -> Action:
    if on_expiry == "use_default" and isinstance(tool, AskHuman):
        return ResolveWithoutCall("" if tool.default is None else feedback_as_text(tool.default))
    if on_expiry == "deny":
        return ResolveWithoutCall("The approval request expired.", "expired")
    return FailRun(InputExpiredError(f"input request for {tool.name} expired"))
