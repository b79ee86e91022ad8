"""What happens to a tool call next: it is made, asked about, waited for, or settled without a call.

A pure decision over what the log says of the call and what the agent's definition says of the tool.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from runyard_service.agents.definitions.conditions import fill, may_hold
from runyard_service.agents.definitions.human_tools import AskHuman
from runyard_service.agents.definitions.input_forms import (
    MAX_SHOWN_BYTES,
    faults_of_question,
    size_of,
    told,
)
from runyard_service.agents.definitions.models import (
    OUTPUT_TOOL,
    AgentDefinition,
    ExecutableTool,
    Tool,
)
from runyard_service.agents.definitions.schemas import faults_of
from runyard_service.agents.models.base import INVALID_ARGUMENTS
from runyard_service.domain.errors import FinalError, InputExpiredError, ToolInDoubtError
from runyard_service.domain.input_requests import RequestType
from runyard_service.domain.steps import Call

# Towards the client, as the Runs API names the kinds.
_TOOL_TYPES = {
    "http": "http-api-call",
    "python": "python-function",
    "lambda": "lambda-function",
    "ask_human": "human-feedback",
}
DOUBT_CHOICES = ("repeat", "skip", "fail")
# An argument longer than this is told shortened in a prompt; the request's `params` have all of it.
_TOLD_CHARACTERS = 200


@dataclass(frozen=True)
class Execute:
    """Make the call, with exactly these arguments."""

    tool: ExecutableTool
    input: Mapping[str, Any]


@dataclass(frozen=True)
class Ask:
    """Ask a person, and wait."""

    type: RequestType
    prompt: str
    params: Mapping[str, Any]
    editable_params: tuple[str, ...] = ()
    expires_in: float | None = None
    on_expiry: str = "keep_waiting"


@dataclass(frozen=True)
class Wait:
    """A person has been asked and has not answered."""


@dataclass(frozen=True)
class Settle:
    """The call's result is known without making it; `error_code` marks a failure."""

    content: str
    error_code: str | None = None


@dataclass(frozen=True)
class Stop:
    """The run cannot go on."""

    error: FinalError


Action = Execute | Ask | Wait | Settle | Stop


def tool_label(definition: AgentDefinition, name: str) -> Mapping[str, str]:
    """The tool as events name it: `{name, type}`."""
    tool = definition.tool(name)
    return {"name": name, "type": _TOOL_TYPES[tool.kind] if tool else "unknown"}


def next_action(definition: AgentDefinition, call: Call, begun_here: bool) -> Action:
    """What to do with an unfinished call.

    `begun_here` says that the caller itself has just brought the call to its phase, so that it is
    known that the call was not made yet; otherwise a worker was lost in between, and it is not.
    """
    if call.phase in ("asked", "answered"):
        return Wait()
    tool = definition.tool(call.name)
    if tool is None or INVALID_ARGUMENTS in call.input:
        return _unusable(definition, call, {})
    if faults := faults_of(tool.parameters, call.input):
        return _unusable(definition, call, faults)
    if call.phase == "resumed":
        return _after_answer(tool, call, begun_here)
    if isinstance(tool, AskHuman):
        if faults := faults_of_question(call.input):
            return _unusable(definition, call, faults)
        return _within_bounds(_question(tool, call))
    if tool.approval and (tool.approval.when is None or may_hold(tool.approval.when, call.input)):
        return _within_bounds(_approval(tool, call))
    if call.phase == "started" and not begun_here and tool.effect == "unsafe":
        return _doubt(tool, call.input)
    return Execute(tool, call.input)


def _unusable(definition: AgentDefinition, call: Call, faults: Mapping[str, str]) -> Settle:
    if call.name == OUTPUT_TOOL and definition.output_schema is not None:
        faults = faults_of(definition.output_schema, call.input) or {
            OUTPUT_TOOL: "must be called alone, once the results of the other calls are known"
        }
        return Settle(_listed("The answer was not accepted", faults), "output_invalid")
    if INVALID_ARGUMENTS in call.input:
        return Settle("The arguments are not a JSON object.", "invalid_arguments")
    if not faults:
        return Settle(f"There is no tool {call.name!r}.", "unknown_tool")
    return Settle(_listed("The arguments do not fit the tool", faults), "invalid_arguments")


def _listed(opening: str, faults: Mapping[str, str]) -> str:
    return f"{opening}: " + "; ".join(f"{name} {fault}" for name, fault in faults.items()) + "."


def _question(tool: AskHuman, call: Call) -> Ask:
    params = {name: value for name, value in call.input.items() if name != "prompt"}
    if "choices" in params:
        params["choices"] = [choice.strip() for choice in params["choices"]]
    params |= tool.fixed_params
    if tool.on_expiry == "use_default":
        params["default"] = tool.default
    return Ask(
        type="human_feedback",
        prompt=call.input["prompt"],
        params=params,
        expires_in=tool.expires_in,
        on_expiry=tool.on_expiry,
    )


def _approval(tool: ExecutableTool, call: Call) -> Ask:
    rule = tool.approval
    assert rule is not None
    prompt = rule.prompt and str(fill(rule.prompt, {"input": call.input}))
    return Ask(
        type="approval_request",
        prompt=prompt or _plain_prompt(tool, call.input),
        params=call.input,
        editable_params=rule.editable,
        expires_in=rule.expires_in,
        on_expiry=rule.on_expiry,
    )


def _plain_prompt(tool: ExecutableTool, call_input: Mapping[str, Any]) -> str:
    """What the person is asked by a rule without a prompt of its own."""
    arguments = ", ".join(f"{name} = {_shortened(value)}" for name, value in call_input.items())
    return f"May {tool.name} be called with {arguments}?" if arguments else f"May {tool.name} run?"


def _shortened(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _TOLD_CHARACTERS else f"{text[:_TOLD_CHARACTERS]}…"


def _within_bounds(ask: Ask) -> Ask | Settle:
    if size_of(ask.prompt) + size_of(ask.params) <= MAX_SHOWN_BYTES:
        return ask
    return Settle("The arguments are too large to be shown to a person.", "invalid_arguments")


def _doubt(tool: ExecutableTool, call_input: Mapping[str, Any]) -> Ask:
    return Ask(
        type="human_feedback",
        prompt=(
            f"The call of {tool.name} was interrupted: it may have happened, or not. "
            "Repeat it, skip it, or fail the run?"
        ),
        params={"choices": list(DOUBT_CHOICES), "input": call_input},
    )


def _after_answer(tool: Tool, call: Call, begun_here: bool) -> Action:
    answer = call.answer
    assert answer is not None, "a call is resumed only after its answer"
    data = answer.data
    if answer.type == "input_request.expired":
        return _after_expiry(tool, data["on_expiry"])
    if isinstance(tool, AskHuman):
        return Settle(told(data["feedback"]))
    if answer.type == "approval_request.resolved":
        if not data["is_approved"]:
            return Settle(_refusal(data.get("feedback")), "denied")
        return _make(tool, data["effective_params"], begun_here)
    match data["feedback"]:
        case "repeat":
            return _make(tool, _last_input(call), begun_here)
        case "skip":
            return Settle(
                "It is not known whether this call was made; it was not repeated.", "skipped"
            )
        case _:
            return Stop(ToolInDoubtError(f"the call of {tool.name} was interrupted"))


def _make(tool: ExecutableTool, call_input: Mapping[str, Any], begun_here: bool) -> Action:
    if not begun_here and tool.effect == "unsafe":
        return _doubt(tool, call_input)
    return Execute(tool, call_input)


def _last_input(call: Call) -> Mapping[str, Any]:
    """The arguments that the doubt was about: an approval before it may have changed them."""
    assert call.question is not None
    shown: Mapping[str, Any] = call.question.data["params"]["input"]
    return shown


def _refusal(reason: Any) -> str:
    return f"A person refused this call: {reason}" if reason else "A person refused this call."


def _after_expiry(
    tool: Tool, on_expiry: Literal["fail", "deny", "use_default", "keep_waiting"]
) -> Action:
    if on_expiry == "use_default" and isinstance(tool, AskHuman):
        return Settle("" if tool.default is None else told(tool.default))
    if on_expiry == "deny":
        return Settle("Nobody approved this call in time.", "expired")
    return Stop(InputExpiredError(f"nobody answered {tool.name} in time"))
