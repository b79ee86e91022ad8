"""The next action for a tool call, decided from its phase, its tool and its events."""

from pathlib import Path
from typing import Any

import pytest

from runyard_service.agents.definitions.loader import read_agents
from runyard_service.agents.definitions.models import AgentDefinition
from runyard_service.agents.definitions.source import AgentDirectory
from runyard_service.agents.tool_arguments import parse_arguments
from runyard_service.application.steps.tool_calls.actions import (
    Execute,
    FailRun,
    KeepWaiting,
    ResolveWithoutCall,
)
from runyard_service.application.steps.tool_calls.next_action import next_action
from runyard_service.application.steps.tool_calls.requested_input import RequestInput
from runyard_service.domain.events import Event, NewEvent, assign_sequences
from runyard_service.domain.steps import CallOrigin, CallPhase, ToolCallState

PARAMETERS = {
    "type": "object",
    "properties": {"amount": {"type": "number"}},
    "required": ["amount"],
}


def definition(**tool: Any) -> AgentDefinition:
    pay = {
        "kind": "http",
        "name": "pay",
        "description": "Pays.",
        "url": "https://x",
        "parameters": PARAMETERS,
    }
    return AgentDefinition.model_validate(
        {
            "key": "a",
            "version": "1",
            "instructions": "x",
            "route": "r",
            "input_schema": {"type": "object"},
            "output_schema": {"type": "object", "required": ["ok"]},
            "tools": [pay | tool, {"kind": "ask_human"}],
        }
    )


APPROVAL = {"prompt": "Pay {{ input.amount }}?", "editable": ["amount"]}


def call(phase: CallPhase, name: str = "pay", **fields: Any) -> ToolCallState:
    return ToolCallState("c1", name, fields.pop("input", {"amount": 5}), 1, phase, **fields)


def event(kind: Any, **data: Any) -> Event:
    return assign_sequences([NewEvent(type=kind, data=data)], after=0)[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ('{"amount": NaN}', "not valid JSON: expected value at line 1 column 12."),
        ('{"a": 1}\n x', "not valid JSON: trailing characters at line 2 column 2."),
        ("[1]", "The arguments are an array."),
        ("null", "The arguments are null."),
    ],
)
@pytest.mark.parametrize(
    ("name", "code"),
    [("pay", "invalid_arguments"), ("final_output", "output_invalid")],
)
def test_the_model_learns_where_its_arguments_are_no_json(
    arguments: str, message: str, name: str, code: str
) -> None:
    invalid = call("started", name, input=parse_arguments(arguments))
    action = next_action(definition(), invalid, CallOrigin.THIS_WORKER)
    assert isinstance(action, ResolveWithoutCall)
    assert action.error_code == code
    assert message in action.content
    assert action.content.endswith("Send one JSON object.")


def test_a_call_without_approval_is_made() -> None:
    action = next_action(definition(), call("started"), CallOrigin.THIS_WORKER)
    assert isinstance(action, Execute)
    assert action.input == {"amount": 5}


@pytest.mark.parametrize("effect", ["none", "idempotent"])
def test_an_interrupted_safe_call_is_repeated(effect: str) -> None:
    action = next_action(definition(effect=effect), call("started"), CallOrigin.UNKNOWN)
    assert isinstance(action, Execute)


def test_an_interrupted_unsafe_call_creates_an_input_request() -> None:
    action = next_action(definition(effect="unsafe"), call("started"), CallOrigin.UNKNOWN)
    assert isinstance(action, RequestInput)
    assert action.params["choices"] == ["repeat", "skip", "fail"]


@pytest.mark.parametrize("given", [{}, {"note": None}, {"note": " "}])
def test_a_prompt_without_a_value_that_it_names_is_replaced(given: dict[str, Any]) -> None:
    parameters = {"type": "object", "properties": {"amount": {}, "note": {}}}
    pay = definition(parameters=parameters, approval={"prompt": "Pay for {{ input.note }}?"})
    action = next_action(pay, call("started", input={"amount": 5, **given}), CallOrigin.THIS_WORKER)
    assert isinstance(action, RequestInput)
    assert action.prompt.startswith("Approve calling pay with amount=5")


@pytest.mark.parametrize(("amount", "action"), [(20, Execute), (20.01, RequestInput)])
def test_the_sample_agent_requires_approval_of_refunds_above_20(
    amount: float, action: type[Execute | RequestInput]
) -> None:
    sample = read_agents(AgentDirectory(Path("agents")).read()).find("support_triage")
    assert sample is not None
    refund = call("started", "refund", input={"order_id": "4812", "amount": amount})
    assert type(next_action(sample, refund, CallOrigin.THIS_WORKER)) is action


def test_approval_is_requested_after_an_interruption_too() -> None:
    for origin in CallOrigin:
        action = next_action(definition(approval=APPROVAL), call("started"), origin)
        assert isinstance(action, RequestInput)
        assert (action.type, action.prompt) == ("approval_request", "Pay 5?")
        assert action.editable_params == ("amount",)


@pytest.mark.parametrize(("amount", "is_requested"), [(5, False), (50, True)])
def test_approval_can_depend_on_the_arguments(amount: int, is_requested: bool) -> None:
    rule = APPROVAL | {"when": {"amount": {"above": 10}}}
    action = next_action(
        definition(approval=rule), call("started", input={"amount": amount}), CallOrigin.THIS_WORKER
    )
    assert isinstance(action, RequestInput) is is_requested


@pytest.mark.parametrize(
    ("mode", "is_requested"),
    [
        ("never", False),
        (None, False),
        ("always", True),
        ({}, True),
        ({"when": {"amount": {"above": 10}}}, False),
        ({"when": {"amount": {"below": 10}}}, True),
    ],
)
def test_approval_is_requested_never_always_or_on_a_condition(
    mode: Any, is_requested: bool
) -> None:
    action = next_action(definition(approval=mode), call("started"), CallOrigin.THIS_WORKER)
    assert isinstance(action, RequestInput) is is_requested


@pytest.mark.parametrize(
    ("call_input", "prompt"),
    [
        (
            {"amount": 5, "reason": 'A "gift"'},
            'Approve calling pay with amount=5, reason="A \\"gift\\""?',
        ),
        (
            {"amount": 5, "note": "x" * 300},
            f'Approve calling pay with amount=5, note="{"x" * 199}…?',
        ),
    ],
)
def test_the_default_prompt_names_the_tool_and_its_arguments(
    call_input: dict[str, Any], prompt: str
) -> None:
    pending = call("started", input=call_input)
    action = next_action(definition(approval="always"), pending, CallOrigin.THIS_WORKER)
    assert isinstance(action, RequestInput)
    assert (action.prompt, action.params) == (prompt, call_input)


@pytest.mark.parametrize("approval", ["always", {"prompt": "Pay to {{ input.to }}?"}])
def test_a_prompt_shows_invisible_characters(approval: Any) -> None:
    call_input = {"amount": 5, "to": "DE\u202e98\u200b\ufe0f\U000e0041 Ä"}
    pending = call("started", input=call_input)
    action = next_action(definition(approval=approval), pending, CallOrigin.THIS_WORKER)
    assert isinstance(action, RequestInput)
    assert "DE\\u202e98\\u200b\\ufe0f\\U000e0041 Ä" in action.prompt
    assert action.params == call_input


def test_the_default_prompt_works_without_arguments() -> None:
    free = definition(approval="always", parameters={"type": "object"})
    action = next_action(free, call("started", input={}), CallOrigin.THIS_WORKER)
    assert isinstance(action, RequestInput)
    assert action.prompt == "Approve calling pay?"


def test_a_tool_runs_with_exactly_the_approved_arguments() -> None:
    answer = event("approval_request.resolved", is_approved=True, effective_params={"amount": 3})
    resumed = call("resumed", answer=answer)
    action = next_action(definition(approval=APPROVAL), resumed, CallOrigin.THIS_WORKER)
    assert isinstance(action, Execute)
    assert action.input == {"amount": 3}


def test_an_interrupted_unsafe_call_is_in_doubt_after_approval() -> None:
    answer = event("approval_request.resolved", is_approved=True, effective_params={"amount": 3})
    doubt = next_action(
        definition(approval=APPROVAL), call("resumed", answer=answer), CallOrigin.UNKNOWN
    )
    assert isinstance(doubt, RequestInput)
    # If the person answers `repeat`, the call uses the approved arguments again.
    request = event("agent.human_feedback.requested", id="r2", params=doubt.params)
    again = call(
        "resumed",
        request=request,
        answer=event("agent.human_feedback.received", id="r2", feedback="repeat"),
    )
    action = next_action(definition(approval=APPROVAL), again, CallOrigin.THIS_WORKER)
    assert isinstance(action, Execute)
    assert action.input == {"amount": 3}


def test_a_denied_call_is_not_made_and_the_model_is_informed() -> None:
    answer = event("approval_request.resolved", is_approved=False, feedback="too much")
    action = next_action(
        definition(approval=APPROVAL), call("resumed", answer=answer), CallOrigin.THIS_WORKER
    )
    assert action == ResolveWithoutCall("A person denied this call: too much", "denied")


@pytest.mark.parametrize(("choice", "kind"), [("skip", ResolveWithoutCall), ("fail", FailRun)])
def test_a_call_in_doubt_can_be_skipped_or_fail_the_run(choice: str, kind: type) -> None:
    answer = event("agent.human_feedback.received", feedback=choice)
    assert isinstance(
        next_action(definition(), call("resumed", answer=answer), CallOrigin.THIS_WORKER), kind
    )


def test_an_answer_is_the_result_of_an_ask_human_call() -> None:
    answer = event("agent.human_feedback.received", feedback={"a": 1})
    pending = call("resumed", "ask_human", input={"prompt": "?"}, answer=answer)
    assert next_action(definition(), pending, CallOrigin.UNKNOWN) == ResolveWithoutCall('{"a": 1}')


@pytest.mark.parametrize("phase", ["asked", "answered"])
def test_a_call_waits_for_a_persons_decision(phase: CallPhase) -> None:
    assert next_action(definition(), call(phase), CallOrigin.UNKNOWN) == KeepWaiting()


@pytest.mark.parametrize(
    ("name", "call_input", "code"),
    [
        ("nothing", {}, "unknown_tool"),
        ("pay", {"amount": "five"}, "invalid_arguments"),
        ("final_output", {}, "output_invalid"),
        ("ask_human", {}, "invalid_arguments"),
    ],
)
def test_the_model_is_informed_about_a_call_that_cannot_be_made(
    name: str, call_input: dict[str, Any], code: str
) -> None:
    action = next_action(
        definition(), call("started", name, input=call_input), CallOrigin.THIS_WORKER
    )
    assert isinstance(action, ResolveWithoutCall)
    assert action.error_code == code
