"""Decide the next action for a tool call: execute, request input, wait, or resolve without a call.

The decision is pure: it reads only the state of the call and the definition of the agent.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from runyard_service.agents.definitions.conditions import can_fill, fill_text, may_hold
from runyard_service.agents.definitions.human_tools import AskHuman
from runyard_service.agents.definitions.input_forms import (
    MAX_FORMATTED_BYTES,
    feedback_as_text,
    size_of,
    validate_request,
)
from runyard_service.agents.definitions.json_schema.validation import validate
from runyard_service.agents.definitions.models import OUTPUT_TOOL, AgentDefinition
from runyard_service.agents.definitions.tools import ExecutableTool, Tool
from runyard_service.agents.tool_arguments import INVALID_ARGUMENTS, describe_invalid
from runyard_service.domain.errors import InputExpiredError, TerminalError, ToolInDoubtError
from runyard_service.domain.event_payloads import InterruptedCallParams
from runyard_service.domain.input_requests import RequestType
from runyard_service.domain.steps import CallOrigin, ToolCallState
from runyard_service.domain.visible_text import escape_invisible

# The names of tool types in the Runs API.
_TOOL_TYPES = {
    "http": "http-api-call",
    "python": "python-function",
    "lambda": "lambda-function",
    "ask_human": "human-feedback",
}
DOUBT_CHOICES = ("repeat", "skip", "fail")
# Prompts truncate an argument longer than this; the `params` of the request have all of it.
_MAX_ARGUMENT_CHARACTERS = 200


@dataclass(frozen=True)
class Execute:
    """Make the call with these arguments."""

    tool: ExecutableTool
    input: Mapping[str, Any]


@dataclass(frozen=True)
class RequestInput:
    """Publish an input request, and wait for its answer."""

    type: RequestType
    prompt: str
    params: Mapping[str, Any]
    editable_params: tuple[str, ...] = ()
    expires_in: float | None = None
    on_expiry: str = "keep_waiting"


@dataclass(frozen=True)
class KeepWaiting:
    """Wait: the input request has no answer yet, or the run has not resumed."""


@dataclass(frozen=True)
class ResolveWithoutCall:
    """The result is known without the call; it is a failure if `error_code` is set."""

    content: str
    error_code: str | None = None


@dataclass(frozen=True)
class FailRun:
    """Fail the run with this error."""

    error: TerminalError


Action = Execute | RequestInput | KeepWaiting | ResolveWithoutCall | FailRun


def tool_label(definition: AgentDefinition, name: str) -> Mapping[str, str]:
    """The tool as events name it: `{name, type}`."""
    tool = definition.tool(name)
    return {"name": name, "type": _TOOL_TYPES[tool.kind] if tool else "unknown"}


def next_action(definition: AgentDefinition, call: ToolCallState, origin: CallOrigin) -> Action:
    """Return what to do with an unfinished call.

    `CallOrigin.THIS_WORKER` means that the call was not made yet. With `CallOrigin.UNKNOWN`, a call
    of an unsafe tool may have been made, so a person decides.
    """
    if call.phase in ("asked", "answered"):
        return KeepWaiting()
    tool = definition.tool(call.name)
    if tool is None or INVALID_ARGUMENTS in call.input:
        return _resolve_unusable(definition, call, {})
    if issues := validate(tool.parameters, call.input):
        return _resolve_unusable(definition, call, issues)
    if call.phase == "resumed":
        return _after_answer(tool, call, origin)
    if isinstance(tool, AskHuman):
        if issues := validate_request(call.input):
            return _resolve_unusable(definition, call, issues)
        return _check_size(_human_feedback_request(tool, call))
    if tool.approval and (tool.approval.when is None or may_hold(tool.approval.when, call.input)):
        return _check_size(_approval_request(tool, call))
    if call.phase == "started" and origin is CallOrigin.UNKNOWN and tool.effect == "unsafe":
        return _ask_about_doubt(tool, call.input)
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
        return ResolveWithoutCall(_format_errors("The output is invalid", issues), "output_invalid")
    if not issues:
        return ResolveWithoutCall(f"There is no tool {call.name[:200]!r}.", "unknown_tool")
    return ResolveWithoutCall(
        _format_errors("The arguments do not match the tool's schema", issues), "invalid_arguments"
    )


def _format_errors(opening: str, issues: Mapping[str, str]) -> str:
    return f"{opening}: " + "; ".join(f"{name} {issue}" for name, issue in issues.items()) + "."


def _human_feedback_request(tool: AskHuman, call: ToolCallState) -> RequestInput:
    params = {name: value for name, value in call.input.items() if name != "prompt"}
    if "choices" in params:
        params["choices"] = [choice.strip() for choice in params["choices"]]
    params |= tool.fixed_params
    if tool.on_expiry == "use_default":
        params["default"] = tool.default
    return RequestInput(
        type="human_feedback",
        prompt=call.input["prompt"],
        params=params,
        expires_in=tool.expires_in,
        on_expiry=tool.on_expiry,
    )


def _approval_request(tool: ExecutableTool, call: ToolCallState) -> RequestInput:
    rule = tool.approval
    assert rule is not None
    data = {"input": call.input}
    # A prompt without a value that it names would hide from the person what is missing.
    is_complete = rule.prompt is not None and can_fill(rule.prompt, data)
    prompt = fill_text(rule.prompt, data) if rule.prompt and is_complete else None
    return RequestInput(
        type="approval_request",
        prompt=escape_invisible(prompt or _default_prompt(tool, call.input)),
        params=call.input,
        editable_params=rule.editable,
        expires_in=rule.expires_in,
        on_expiry=rule.on_expiry,
    )


def _default_prompt(tool: ExecutableTool, call_input: Mapping[str, Any]) -> str:
    """Return the prompt of an approval rule that defines no prompt."""
    arguments = ", ".join(f"{name}={_truncated_json(value)}" for name, value in call_input.items())
    return f"Approve calling {tool.name}{f' with {arguments}' if arguments else ''}?"


def _truncated_json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_ARGUMENT_CHARACTERS else f"{text[:_MAX_ARGUMENT_CHARACTERS]}…"


def _check_size(ask: RequestInput) -> RequestInput | ResolveWithoutCall:
    if size_of(ask.prompt) + size_of(ask.params) <= MAX_FORMATTED_BYTES:
        return ask
    return ResolveWithoutCall(
        "The arguments are too large for a person to review.", "invalid_arguments"
    )


def _ask_about_doubt(tool: ExecutableTool, call_input: Mapping[str, Any]) -> RequestInput:
    return RequestInput(
        type="human_feedback",
        prompt=(
            f"The call of {tool.name} was interrupted: it may have happened, or not. "
            "Repeat it, skip it, or fail the run?"
        ),
        params={"choices": list(DOUBT_CHOICES), "input": call_input},
    )


def _after_answer(tool: Tool, call: ToolCallState, origin: CallOrigin) -> Action:
    answer = call.answer
    assert answer is not None, "a call is resumed only after its answer"
    data = answer.data
    if answer.type == "input_request.expired":
        return _after_expiry(tool, data["on_expiry"])
    if isinstance(tool, AskHuman):
        return ResolveWithoutCall(feedback_as_text(data["feedback"]))
    if answer.type == "approval_request.resolved":
        if not data["is_approved"]:
            return ResolveWithoutCall(_denial(data.get("feedback")), "denied")
        return _execute_or_ask(tool, data["effective_params"], origin)
    match data["feedback"]:
        case "repeat":
            return _execute_or_ask(tool, _input_in_doubt(call), origin)
        case "skip":
            return ResolveWithoutCall(
                "It is not known whether this call was made; it was not repeated.", "skipped"
            )
        case _:
            return FailRun(ToolInDoubtError(f"the call of {tool.name} was interrupted"))


def _execute_or_ask(
    tool: ExecutableTool, call_input: Mapping[str, Any], origin: CallOrigin
) -> Action:
    if origin is CallOrigin.UNKNOWN and tool.effect == "unsafe":
        return _ask_about_doubt(tool, call_input)
    return Execute(tool, call_input)


def _input_in_doubt(call: ToolCallState) -> Mapping[str, Any]:
    """Return the arguments of the call in doubt, with the changes of an earlier approval."""
    assert call.request is not None
    params: InterruptedCallParams = call.request.data["params"]
    return params["input"]


def _denial(reason: Any) -> str:
    return f"A person denied this call: {reason}" if reason else "A person denied this call."


def _after_expiry(
    tool: Tool, on_expiry: Literal["fail", "deny", "use_default", "keep_waiting"]
) -> Action:
    if on_expiry == "use_default" and isinstance(tool, AskHuman):
        return ResolveWithoutCall("" if tool.default is None else feedback_as_text(tool.default))
    if on_expiry == "deny":
        return ResolveWithoutCall("The approval request expired.", "expired")
    return FailRun(InputExpiredError(f"input request for {tool.name} expired"))
