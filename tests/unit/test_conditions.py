"""Conditions and placeholders, evaluated on plain data."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from runyard_service.agents.definitions.conditions import Condition, fill, holds, may_hold

DATA = {"amount": 120, "reason": "Refund please", "tags": ["a", "b"], "deep": {"flag": True}}
CONDITION = TypeAdapter(Condition)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({}, True),
        ({"amount": 120}, True),
        ({"amount": "120"}, False),
        ({"amount": {"above": 100}}, True),
        ({"amount": {"above": 100, "below": 110}}, False),
        ({"reason": "refund PLEASE"}, True),
        ({"reason": {"contains": "refund"}}, True),
        ({"reason": {"matches": "^refund$"}}, False),
        ({"reason": {"one_of": ["x", "Refund please"]}}, True),
        ({"deep.flag": True}, True),
        ({"deep.flag": 1}, False),
        ({"tags.1": "b"}, True),
        ({"missing": {"exists": False}}, True),
        ({"missing": {"contains": "x"}}, False),
        ({"missing": None}, True),
        ({"reason": {"above": 3}}, False),
        ({"amount": 120, "reason": "no"}, False),
    ],
)
def test_a_condition_is_true_or_false(condition: Any, expected: bool) -> None:
    assert holds(CONDITION.validate_python(condition), DATA) is expected


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"amount": {"above": 100}}, True),
        ({"amount": {"above": 200}}, False),
        ({"reason": {"above": 100}}, True),
        ({"missing": {"above": 100}}, True),
        ({"tags": {"below": 1}}, True),
        ({"missing": {"contains": "x"}}, True),
        ({"missing": {"matches": "x"}}, True),
        ({"missing": "x"}, True),
        ({"missing": None}, True),
        ({"amount": None}, False),
        ({"missing": {"equals": None}}, True),
        ({"amount": {"equals": None}}, False),
        ({"amount": "120"}, True),
        ({"amount": {"equals": True}}, True),
        ({"amount": {"one_of": ["120", 5]}}, True),
        ({"amount": {"one_of": [4, 5]}}, False),
        ({"missing": {"one_of": ["a", None]}}, True),
        ({"missing": {"exists": True}}, False),
        ({"missing": {"above": 100}, "reason": "another"}, False),
        ({"amount": {"above": 100, "contains": "3"}}, False),
    ],
)
def test_a_condition_that_cannot_be_evaluated_counts_as_possibly_true(
    condition: Any, expected: bool
) -> None:
    assert may_hold(CONDITION.validate_python(condition), DATA) is expected


@pytest.mark.parametrize(
    "wrong",
    [
        *({"a": {"matches": "("}}, {"a": {"bigger": 1}}, {"a": [1]}),
        *({"a": {"above": None}}, {"a": {"one_of": None}}, {"a": {"exists": None}}),
        *({"a": {"below": float("inf")}}, {"a": {"equals": float("nan")}}),
    ],
)
def test_an_invalid_condition_is_rejected(wrong: Any) -> None:
    with pytest.raises(ValidationError):
        CONDITION.validate_python(wrong)


def test_placeholders_are_filled() -> None:
    assert fill("Pay {{ amount }} for {{deep.flag}}{{ nothing }}", DATA) == "Pay 120 for True"
    assert fill({"n": "{{ amount }}", "l": ["{{ tags }}"]}, DATA) == {"n": 120, "l": [["a", "b"]]}
