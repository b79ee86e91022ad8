"""The input requests about a tool call: their prompts, and what an answer must fit."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runyard_service.agents.definitions.conditions import can_fill, fill_text
from runyard_service.agents.definitions.human_tools import AskHuman
from runyard_service.agents.definitions.models import LONGEST_WAIT_SECONDS, AgentDefinition
from runyard_service.agents.definitions.tools import Effect, ExecutableTool, PinnedMcpTool
from runyard_service.agents.mcp.elicitation import form_of, open_elicitations
from runyard_service.domain.input_requests import RequestType
from runyard_service.domain.steps import ToolCallState
from runyard_service.domain.visible_text import escape_invisible

DOUBT_CHOICES = ("repeat", "skip", "fail")
# Prompts truncate an argument longer than this; the `params` of the request have all of it.
_MAX_ARGUMENT_CHARACTERS = 200


@dataclass(frozen=True)
class RequestInput:
    """Publish an input request, and wait for its answer."""

    type: RequestType
    prompt: str
    params: Mapping[str, Any]
    params_schema: Mapping[str, Any] | None = None
    editable_params: tuple[str, ...] = ()
    effect: Effect = "none"
    """The effect of the call that waits for the answer."""
    expires_in: float | None = None
    on_expiry: str = "keep_waiting"
    id: str = ""
    """The id of the input request; empty if it follows from the number of its call's requests."""


def human_feedback_request(tool: AskHuman, call: ToolCallState) -> RequestInput:
    """Return the request that the model makes."""
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


def approval_request(tool: ExecutableTool, call: ToolCallState) -> RequestInput:
    """Return the request to approve the call."""
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
        params_schema=editable_schema(tool.parameters, rule.editable),
        editable_params=rule.editable,
        effect=tool.effect,
        expires_in=rule.expires_in,
        on_expiry=rule.on_expiry,
    )


def editable_schema(
    parameters: Mapping[str, Any], editable: Sequence[str]
) -> Mapping[str, Any] | None:
    """Return the JSON Schema of the editable arguments; None if none of them is described.

    It is stored with the input request, so it is short. A schema with references is not cut,
    because they can lead to each part of it.
    """
    described = parameters.get("properties", {})
    properties = {name: described[name] for name in editable if name in described}
    if not properties:
        return None
    if '"$ref"' in json.dumps(properties):
        return parameters
    return {"type": "object", "properties": properties}


def own_feedback_request(call: ToolCallState) -> RequestInput:
    """Return the request of `ctx.ask` in an agent's own code."""
    asked = call.input
    params = {name: asked[name] for name in ("form", "choices", "default") if name in asked}
    return RequestInput(
        type="human_feedback",
        prompt=escape_invisible(str(asked.get("prompt", ""))),
        params=params,
        expires_in=asked.get("expires_in"),
        on_expiry="use_default" if "default" in asked else "fail",
    )


def own_approval_request(call: ToolCallState) -> RequestInput:
    """Return the request of `ctx.approve` in an agent's own code."""
    return RequestInput(
        type="approval_request",
        prompt=escape_invisible(str(call.input.get("prompt", ""))),
        params=call.input.get("params", {}),
        editable_params=tuple(call.input.get("editable", ())),
        expires_in=call.input.get("expires_in"),
        on_expiry="deny",
    )


def elicited_requests(definition: AgentDefinition, call: ToolCallState) -> tuple[RequestInput, ...]:
    """Return what the MCP server of a call asks.

    If no person answers within `limits.wait_seconds`, the server receives a cancel.
    """
    has_limit = definition.limits.wait_seconds < LONGEST_WAIT_SECONDS
    tool = definition.tool(call.name)
    effect: Effect = tool.effect if isinstance(tool, PinnedMcpTool) else "unsafe"
    return tuple(
        RequestInput(
            type="human_feedback",
            prompt=escape_invisible(request["message"]),
            params=form_of(request),
            effect=effect,
            expires_in=definition.limits.wait_seconds if has_limit else None,
            on_expiry="cancel" if has_limit else "keep_waiting",
            id=id_,
        )
        for id_, request in open_elicitations(call).items()
    )


def _default_prompt(tool: ExecutableTool, call_input: Mapping[str, Any]) -> str:
    """Return the prompt of an approval rule that defines no prompt."""
    arguments = ", ".join(f"{name}={_truncated_json(value)}" for name, value in call_input.items())
    return f"Approve calling {tool.name}{f' with {arguments}' if arguments else ''}?"


def _truncated_json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_ARGUMENT_CHARACTERS else f"{text[:_MAX_ARGUMENT_CHARACTERS]}…"


def doubt_request(name: str, call_input: Mapping[str, Any]) -> RequestInput:
    """Return the request that asks what to do with a call that may have been made."""
    return RequestInput(
        type="human_feedback",
        prompt=(
            f"The call of {name} was interrupted: it may have happened, or not. "
            "Repeat it, skip it, or fail the run?"
        ),
        params={"choices": list(DOUBT_CHOICES), "input": call_input},
        effect="unsafe",
    )
