"""Test that conditions of approval rules suit the parameters of their tools."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from runyard_service.agents.definitions.tools import HttpTool

PARAMETERS = {
    "type": "object",
    "properties": {
        "amount": {"type": ["number", "null"]},
        "count": {"type": "integer"},
        "note": {"type": "string"},
        "untyped": {},
        "items": {"type": "array", "items": {"type": "object", "properties": {"n": {"$ref": "#"}}}},
        "free": {"type": "object", "additionalProperties": {"type": "string"}},
        "either": {"anyOf": [{"type": "number"}, {"type": "string"}]},
    },
}


def tool_with(condition: Any) -> HttpTool:
    """Return a tool whose calls wait for approval under this condition."""
    fields = {
        "kind": "http",
        "name": "pay",
        "description": "Pays.",
        "url": "https://example.com",
        "parameters": PARAMETERS,
        "approval": {"when": condition},
    }
    return TypeAdapter(HttpTool).validate_python(fields)


@pytest.mark.parametrize(
    "condition",
    [
        *({"amount": {"above": 1}}, {"count": {"below": 1}}, {"note": {"contains": "a"}}),
        *({"untyped": {"exists": True}}, {"untyped": 5}, {"either": {"above": 1}}),
        *({"items.0.n": {"above": 1}}, {"free.any": {"matches": "a"}}, {"items.0.n.m": 5}),
    ],
)
def test_a_condition_that_suits_the_parameters_is_accepted(condition: Any) -> None:
    assert tool_with(condition).approval


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ({"note": {"above": 1}}, "'note' has the type number or integer"),
        ({"untyped": {"below": 1}}, "'untyped' has the type number or integer"),
        ({"items": {"above": 1}}, "'items' has the type number or integer"),
        ({"free.any": {"above": 1}}, "'free.any' has the type number or integer"),
        ({"amount": {"contains": "1"}}, "'amount' has the type string"),
        ({"count": {"matches": "1"}}, "'count' has the type string"),
        ({"amout": {"above": 1}}, "'amout' is not a parameter"),
        ({"amount.value": 5}, "'amount.value' is not a parameter"),
    ],
)
def test_a_condition_that_cannot_be_evaluated_is_an_error(condition: Any, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        tool_with(condition)
