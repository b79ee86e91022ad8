"""Conditions and placeholders, evaluated on plain data."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from runyard_service.agents.definitions.conditions import (
    Condition,
    fill,
    fill_text,
    holds,
    may_hold,
)

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
        *({"a": {"matches": "(?=a)"}}, {"a": {"matches": "a{1000}{1000}"}}),
        *({"a": {"below": float("inf")}}, {"a": {"equals": float("nan")}}),
    ],
)
def test_an_invalid_condition_is_rejected(wrong: Any) -> None:
    with pytest.raises(ValidationError):
        CONDITION.validate_python(wrong)


def test_placeholders_are_filled() -> None:
    assert fill("Pay {{ amount }} for {{deep.flag}}{{ nothing }}", DATA) == "Pay 120 for true"
    assert fill({"n": "{{ amount }}", "l": ["{{ tags }}"]}, DATA) == {"n": 120, "l": [["a", "b"]]}


WIDE = "\uff32\uff25\uff26\uff35\uff2e\uff24"  # REFUND in full-width letters
DECOMPOSED = "cafe\u0301"


@pytest.mark.parametrize(
    ("value", "condition"),
    [
        (WIDE, "refund"),
        (WIDE, {"contains": "fund"}),
        (WIDE, {"matches": "^refund$"}),
        (WIDE, {"one_of": ["x", "Refund"]}),
        ("refund", {"contains": WIDE}),
        ("refund", {"matches": WIDE}),
        (DECOMPOSED, {"matches": "^caf\u00e9$"}),
        ("caf\u00e9", DECOMPOSED),
        ("(a)", {"matches": "^\uff08a\uff09$"}),
        ("Stra\u00dfe", "STRASSE"),
        (True, {"contains": "true"}),
        (["a", None], {"contains": "null"}),
    ],
)
def test_texts_are_compared_without_case_and_in_one_unicode_form(
    value: Any, condition: Any
) -> None:
    assert holds(CONDITION.validate_python({"a": condition}), {"a": value})


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "^(a|a?)+$", "^(\\w+\\s?)*$"])
def test_a_pattern_takes_time_proportional_to_the_text(pattern: str) -> None:
    # With Python's engine this never ends.
    condition = CONDITION.validate_python({"a": {"matches": pattern}})
    assert not holds(condition, {"a": "a" * 50_000 + "!"})


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ order }}", '{"id": 1, "paid": true, "note": null}'),
        ("It is {{ order.paid }}, {{ order.note }}.", "It is true, null."),
        ("{{ names }}", '["é", "b"]'),
        ("{{ name }}", 'a "b"'),
        ("{{ amount }} {{ missing }}{{ order.missing }}", "1.5 "),
    ],
)
def test_placeholders_in_a_text_are_json(template: str, text: str) -> None:
    data = {
        "order": {"id": 1, "paid": True, "note": None},
        "names": ["é", "b"],
        "name": 'a "b"',
        "amount": 1.5,
    }
    assert fill_text(template, data) == text
