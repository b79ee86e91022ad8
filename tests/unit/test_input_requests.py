"""Input requests: valid requests, valid answers, and the results that the model gets."""

import json
from typing import Any

import pytest

from runyard_service.agents.definitions.input_forms import (
    MAX_ANSWER_BYTES,
    MAX_FORM_BYTES,
    form_issue,
    normalize,
    validate_answer,
    validate_request,
)
from runyard_service.agents.definitions.models import AgentDefinition, Limits
from runyard_service.application.steps.tool_calls.actions import ResolveWithoutCall
from runyard_service.application.steps.tool_calls.next_action import next_action
from runyard_service.application.steps.tool_calls.requested_input import (
    RequestInput,
    doubt_request,
    editable_schema,
)
from runyard_service.domain.events import Event, NewEvent, assign_sequences
from runyard_service.domain.input_requests import Answer
from runyard_service.domain.steps import CallOrigin, CallPhase, ToolCallState

PROPOSED = {"order_id": "4812", "amount": 45, "items": [{"n": 1}], "note": None}


@pytest.mark.parametrize(
    ("is_approved", "params", "changed"),
    [
        (True, {"order_id": "4812", "amount": 45}, None),
        (True, {"order_id": "4812", "amount": 45.0, "items": [{"n": 1}], "note": None}, None),
        (True, {"order_id": "4812", "amount": 44}, {"amount": 44}),
        (True, {"items": [{"n": True}]}, {"items": [{"n": True}]}),
        (True, {"items": [{"n": 1}, {"n": 1}]}, {"items": [{"n": 1}, {"n": 1}]}),
        (True, {"note": ""}, {"note": ""}),
        (True, {"other": None}, {"other": None}),
        (True, {}, None),
        (False, {"order_id": "1", "other": 1}, None),
    ],
)
def test_params_that_change_nothing_are_dropped(
    is_approved: bool, params: dict[str, Any], changed: dict[str, Any] | None
) -> None:
    answer = Answer(type="approval_request", request_id="r", is_approved=is_approved, params=params)
    assert answer.without_unchanged(PROPOSED).params == changed


FORM = {
    "type": "object",
    "properties": {
        "color": {"enum": ["red", "blue"]},
        "sizes": {"type": "array", "items": {"type": "integer"}},
    },
    "required": ["color"],
    "additionalProperties": False,
}


def definition(**tool: Any) -> AgentDefinition:
    return AgentDefinition.model_validate(
        {
            "key": "a",
            "version": "1",
            "instructions": "x",
            "route": "r",
            "input_schema": {"type": "object"},
            "tools": [{"kind": "ask_human"} | tool],
        }
    )


def call(
    phase: CallPhase = "started", answer: Event | None = None, **arguments: Any
) -> ToolCallState:
    return ToolCallState(
        "c1", "ask_human", {"prompt": "Which?"} | arguments, 1, phase, answer=answer
    )


def event(kind: Any, **data: Any) -> Event:
    return assign_sequences([NewEvent(type=kind, data=data)], after=0)[0]


def nested(depth: int) -> dict[str, Any]:
    form: dict[str, Any] = {"type": "object"}
    for _ in range(depth):
        form = {"type": "object", "properties": {"a": form}}
    return form


@pytest.mark.parametrize("arguments", [{}, {"choices": ["a", "b"]}, {"form": FORM}])
def test_a_model_may_request_a_text_a_choice_or_a_form(arguments: dict[str, Any]) -> None:
    ask = next_action(definition(), call(**arguments), CallOrigin.THIS_WORKER)
    assert isinstance(ask, RequestInput)
    assert (ask.prompt, ask.params) == ("Which?", arguments)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"form": {"type": "array"}}, "form.type must be object"),
        ({"form": {}}, "form.type must be object"),
        ({"form": []}, "form must be of type object"),
        (
            {"form": {"type": "object", "properties": {"a": {"type": "strin"}}}},
            "form.properties.a.type is not a valid JSON Schema",
        ),
        ({"form": {"type": "object", "allOf": [{"$ref": "#"}]}}, "form.allOf.0.$ref cannot be"),
        ({"form": nested(12)}, "form must be nested at most 16 deep"),
        ({"form": {"type": "object", "title": "x" * MAX_FORM_BYTES}}, "form must be at most 16384"),
        ({"form": FORM, "choices": ["a"]}, "form cannot be combined with choices"),
        ({"choices": []}, "choices must have at least 1 items"),
        ({"choices": ["a", " a "]}, "choices.1 is duplicated"),
        ({"choices": ["a", " "]}, "choices.1 cannot be blank"),
        ({"choices": [1]}, "choices.0 must be of type string"),
    ],
)
def test_a_model_gets_an_error_for_an_invalid_input_request(
    arguments: dict[str, Any], error: str
) -> None:
    action = next_action(definition(), call(**arguments), CallOrigin.THIS_WORKER)
    assert isinstance(action, ResolveWithoutCall)
    assert action.error_code == "invalid_arguments"
    assert action.content.startswith(f"The arguments do not match the tool's schema: {error}")


def test_choices_are_stripped_of_surrounding_white_space() -> None:
    ask = next_action(definition(), call(choices=[" Yes", "No\n"]), CallOrigin.THIS_WORKER)
    assert isinstance(ask, RequestInput)
    assert ask.params == {"choices": ["Yes", "No"]}


@pytest.mark.parametrize("fixed", [{"choices": ["a", "b"]}, {"form": FORM}])
def test_a_tool_with_its_own_form_accepts_only_the_prompt(fixed: dict[str, Any]) -> None:
    agent = definition(**fixed)
    tool = agent.callable_tools[0]
    assert list(tool.parameters["properties"]) == ["prompt"]
    ask = next_action(agent, call(), CallOrigin.THIS_WORKER)
    assert isinstance(ask, RequestInput)
    assert ask.params == fixed
    rejected = next_action(agent, call(choices=["c"]), CallOrigin.THIS_WORKER)
    assert isinstance(rejected, ResolveWithoutCall)
    assert rejected.content.endswith("choices is not a known field; known: prompt.")


@pytest.mark.parametrize(
    ("params", "feedback", "errors"),
    [
        ({}, "anything", {}),
        ({}, {"a": 1}, {}),
        ({}, " ", {"feedback": "cannot be blank"}),
        ({}, None, {"feedback": "cannot be blank"}),
        ({"choices": ["A", "b"]}, " A\n", {}),
        ({"choices": ["A", "b"]}, "a", {"feedback": "must be one of: A, b"}),
        ({"choices": ["A", "b"]}, ["A"], {"feedback": "must be one of: A, b"}),
        ({"form": FORM}, {"color": "red", "sizes": [1]}, {}),
        ({"form": FORM}, "red", {"feedback": "must be of type object"}),
        ({"form": FORM}, {}, {"feedback.color": "is required"}),
        (
            {"form": FORM},
            {"color": "green", "sizes": [1, "x"], "more": 1},
            {
                "feedback.color": 'must be one of "red", "blue"',
                "feedback.sizes.1": "must be of type integer",
                "feedback.more": "is not a known field; known: color, sizes",
            },
        ),
        ({}, "x" * MAX_ANSWER_BYTES, {"feedback": "must be at most 131072 bytes as JSON"}),
    ],
)
def test_all_errors_of_an_answer_are_named(
    params: dict[str, Any], feedback: Any, errors: dict[str, str]
) -> None:
    assert validate_answer(params, normalize(params, feedback)) == errors


def test_a_form_without_required_fields_may_be_empty() -> None:
    assert validate_answer({"form": {"type": "object"}}, {}) == {}


def test_the_model_gets_a_form_as_json() -> None:
    answer = event("agent.human_feedback.received", feedback={"color": "red", "note": "für dich"})
    result = next_action(definition(), call("resumed", answer, form=FORM), CallOrigin.THIS_WORKER)
    assert result == ResolveWithoutCall('{"color": "red", "note": "für dich"}')


@pytest.mark.parametrize(
    ("fixed", "default", "result"),
    [
        ({}, "nothing", "nothing"),
        ({"choices": ["a", "b"]}, "b", "b"),
        ({"form": FORM}, {"color": "red"}, '{"color": "red"}'),
    ],
)
def test_a_default_is_in_the_request_and_becomes_the_result_on_expiry(
    fixed: dict[str, Any], default: Any, result: str
) -> None:
    agent = definition(expires_in=5, on_expiry="use_default", default=default, **fixed)
    ask = next_action(agent, call(), CallOrigin.THIS_WORKER)
    assert isinstance(ask, RequestInput)
    assert ask.params == {**fixed, "default": default}
    assert (ask.expires_in, ask.on_expiry) == (5, "use_default")
    expired = event("input_request.expired", id="r", on_expiry="use_default")
    assert next_action(
        agent, call("resumed", expired), CallOrigin.THIS_WORKER
    ) == ResolveWithoutCall(result)


def test_an_input_request_that_is_too_large_is_not_created() -> None:
    action = next_action(definition(), call(prompt="x" * 300_000), CallOrigin.THIS_WORKER)
    assert isinstance(action, ResolveWithoutCall)
    assert action.error_code == "invalid_arguments"


def test_an_answer_to_an_empty_request_has_no_errors() -> None:
    assert validate_request({"prompt": "Which?"}) == {}


@pytest.mark.parametrize(
    ("wait_seconds", "expires_in", "on_expiry", "then"),
    [
        (None, None, "keep_waiting", (None, "keep_waiting")),
        (None, 60, "keep_waiting", (60, "keep_waiting")),
        (None, 60, "deny", (60, "deny")),
        (100, 60, "deny", (60, "deny")),
        (100, 600, "deny", (100, "fail")),
        (100, 60, "keep_waiting", (100, "fail")),
        (100, None, "keep_waiting", (100, "fail")),
    ],
)
def test_no_input_request_is_open_for_longer_than_the_run_may_wait(
    wait_seconds: int | None, expires_in: float | None, on_expiry: str, then: Any
) -> None:
    limits = Limits() if wait_seconds is None else Limits(wait_seconds=wait_seconds)
    assert limits.time_to_answer(expires_in, on_expiry) == then


def test_a_definition_is_stored_as_it_was_read() -> None:
    agent = definition(form=FORM, expires_in=5, on_expiry="use_default", default={"color": "red"})
    assert AgentDefinition.model_validate(json.loads(agent.model_dump_json())) == agent


def test_sizes_are_bytes_of_utf_8() -> None:
    longest = "\u6f22" * ((MAX_ANSWER_BYTES - 2) // 3)
    assert validate_answer({}, longest) == {}
    assert validate_answer({}, longest + "\u6f22") == {
        "feedback": f"must be at most {MAX_ANSWER_BYTES} bytes as JSON"
    }
    title = "\u6f22" * (MAX_FORM_BYTES // 3 - 20)
    assert form_issue({"type": "object", "title": title}) is None


# --- what a form for an approval needs ---

AMOUNT = {"type": "number", "maximum": 100}
REFERENCED = {
    "type": "object",
    "properties": {"amount": {"$ref": "#/$defs/amount"}, "order_id": {"type": "string"}},
    "$defs": {"amount": AMOUNT},
}


@pytest.mark.parametrize(
    ("parameters", "editable", "expected"),
    [
        (
            {"type": "object", "properties": {"amount": AMOUNT, "to": {}}, "required": ["to"]},
            ["amount"],
            {"type": "object", "properties": {"amount": AMOUNT}},
        ),
        ({"type": "object", "properties": {"amount": AMOUNT}}, [], None),
        ({"type": "object", "properties": {"amount": AMOUNT}}, ["unknown"], None),
        ({"type": "object"}, ["amount"], None),
        (REFERENCED, ["amount"], REFERENCED),
        (
            REFERENCED,
            ["order_id"],
            {"type": "object", "properties": {"order_id": {"type": "string"}}},
        ),
    ],
    ids=["some", "none editable", "unknown", "none described", "reference", "no reference"],
)
def test_an_approval_describes_its_editable_params(
    parameters: dict[str, Any], editable: list[str], expected: dict[str, Any] | None
) -> None:
    assert editable_schema(parameters, editable) == expected


def test_an_interrupted_call_is_unsafe() -> None:
    assert doubt_request("charge", {}).effect == "unsafe"
