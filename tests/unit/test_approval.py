"""What happens to a tool call next, decided from its phase, its tool and what is known of it."""

from typing import Any

import pytest

from runyard_service.agents.definitions.models import AgentDefinition
from runyard_service.application.steps.next_action import (
    Execute,
    FailRun,
    KeepWaiting,
    RequestInput,
    ResolveWithoutCall,
    next_action,
)
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


def test_a_call_that_needs_nobody_is_made() -> None:
    action = next_action(definition(), call("started"), CallOrigin.THIS_WORKER)
    assert isinstance(action, Execute)
    assert action.input == {"amount": 5}


@pytest.mark.parametrize("effect", ["none", "idempotent"])
def test_an_interrupted_call_without_harm_is_repeated(effect: str) -> None:
    action = next_action(definition(effect=effect), call("started"), CallOrigin.UNKNOWN)
    assert isinstance(action, Execute)


def test_an_interrupted_unsafe_call_becomes_a_question() -> None:
    action = next_action(definition(effect="unsafe"), call("started"), CallOrigin.UNKNOWN)
    assert isinstance(action, RequestInput)
    assert action.params["choices"] == ["repeat", "skip", "fail"]


def test_an_approval_is_asked_for_also_after_an_interruption() -> None:
    for origin in CallOrigin:
        action = next_action(definition(approval=APPROVAL), call("started"), origin)
        assert isinstance(action, RequestInput)
        assert (action.type, action.prompt) == ("approval_request", "Pay 5?")
        assert action.editable_params == ("amount",)


@pytest.mark.parametrize(("amount", "asked"), [(5, False), (50, True)])
def test_an_approval_can_depend_on_the_arguments(amount: int, asked: bool) -> None:
    rule = APPROVAL | {"when": {"amount": {"above": 10}}}
    action = next_action(
        definition(approval=rule), call("started", input={"amount": amount}), CallOrigin.THIS_WORKER
    )
    assert isinstance(action, RequestInput) is asked


@pytest.mark.parametrize(
    ("mode", "asked"),
    [
        ("never", False),
        (None, False),
        ("always", True),
        ({}, True),
        ({"when": {"amount": {"above": 10}}}, False),
        ({"when": {"amount": {"below": 10}}}, True),
    ],
)
def test_an_approval_is_asked_for_never_always_or_on_a_condition(mode: Any, asked: bool) -> None:
    action = next_action(definition(approval=mode), call("started"), CallOrigin.THIS_WORKER)
    assert isinstance(action, RequestInput) is asked


@pytest.mark.parametrize(
    ("call_input", "prompt"),
    [
        (
            {"amount": 5, "reason": 'A "gift"'},
            'May pay be called with amount = 5, reason = "A \\"gift\\""?',
        ),
        (
            {"amount": 5, "note": "x" * 300},
            f'May pay be called with amount = 5, note = "{"x" * 199}…?',
        ),
    ],
)
def test_a_rule_without_a_prompt_names_tool_and_arguments(
    call_input: dict[str, Any], prompt: str
) -> None:
    asked = call("started", input=call_input)
    action = next_action(definition(approval="always"), asked, CallOrigin.THIS_WORKER)
    assert isinstance(action, RequestInput)
    assert (action.prompt, action.params) == (prompt, call_input)


def test_a_rule_without_a_prompt_may_have_no_arguments_to_name() -> None:
    free = definition(approval="always", parameters={"type": "object"})
    action = next_action(free, call("started", input={}), CallOrigin.THIS_WORKER)
    assert isinstance(action, RequestInput)
    assert action.prompt == "May pay run?"


def test_what_runs_is_exactly_what_was_approved() -> None:
    answer = event("approval_request.resolved", is_approved=True, effective_params={"amount": 3})
    resumed = call("resumed", answer=answer)
    action = next_action(definition(approval=APPROVAL), resumed, CallOrigin.THIS_WORKER)
    assert isinstance(action, Execute)
    assert action.input == {"amount": 3}


def test_an_approved_unsafe_call_that_was_interrupted_is_in_doubt() -> None:
    answer = event("approval_request.resolved", is_approved=True, effective_params={"amount": 3})
    doubt = next_action(
        definition(approval=APPROVAL), call("resumed", answer=answer), CallOrigin.UNKNOWN
    )
    assert isinstance(doubt, RequestInput)
    # ... and when a person says `repeat`, it is the approved arguments that are repeated.
    question = event("agent.human_feedback.requested", id="r2", params=doubt.params)
    again = call(
        "resumed",
        request=question,
        answer=event("agent.human_feedback.received", id="r2", feedback="repeat"),
    )
    action = next_action(definition(approval=APPROVAL), again, CallOrigin.THIS_WORKER)
    assert isinstance(action, Execute)
    assert action.input == {"amount": 3}


def test_a_refusal_is_told_to_the_model_and_not_made() -> None:
    answer = event("approval_request.resolved", is_approved=False, feedback="too much")
    action = next_action(
        definition(approval=APPROVAL), call("resumed", answer=answer), CallOrigin.THIS_WORKER
    )
    assert action == ResolveWithoutCall("A person refused this call: too much", "denied")


@pytest.mark.parametrize(("choice", "kind"), [("skip", ResolveWithoutCall), ("fail", FailRun)])
def test_a_doubt_can_be_skipped_or_fail_the_run(choice: str, kind: type) -> None:
    answer = event("agent.human_feedback.received", feedback=choice)
    assert isinstance(
        next_action(definition(), call("resumed", answer=answer), CallOrigin.THIS_WORKER), kind
    )


def test_an_answer_to_a_question_is_the_calls_result() -> None:
    answer = event("agent.human_feedback.received", feedback={"a": 1})
    asked = call("resumed", "ask_human", input={"prompt": "?"}, answer=answer)
    assert next_action(definition(), asked, CallOrigin.UNKNOWN) == ResolveWithoutCall('{"a": 1}')


@pytest.mark.parametrize("phase", ["asked", "answered"])
def test_a_call_that_a_person_decides_on_waits(phase: CallPhase) -> None:
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
def test_a_call_that_cannot_be_made_is_told_to_the_model(
    name: str, call_input: dict[str, Any], code: str
) -> None:
    action = next_action(
        definition(), call("started", name, input=call_input), CallOrigin.THIS_WORKER
    )
    assert isinstance(action, ResolveWithoutCall)
    assert action.error_code == code
