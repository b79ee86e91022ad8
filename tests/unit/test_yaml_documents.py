"""YAML documents are read as JSON values: storing them does not change their meaning."""

import pytest

from runyard_service.agents.definitions.errors import DefinitionIssue
from runyard_service.agents.definitions.yaml_document import read_document


@pytest.mark.parametrize("number", [".inf", "-.INF", ".nan", "1.0e+999"])
def test_a_number_that_json_does_not_have_is_rejected(number: str) -> None:
    errors: list[DefinitionIssue] = []
    read_document("a.yaml", f"a:\n  b: [1.5, {number}]", errors)
    assert errors == [DefinitionIssue("a.yaml", 2, f"{number}: is not a number that JSON can hold")]


def test_keys_are_strings_as_in_json() -> None:
    document = read_document("a.yaml", "{on: {1: a, null: b, 1.5: c}}", [])
    assert document is not None
    assert document.fields == {"on": {"1": "a", "null": "b", "1.5": "c"}}


def test_a_key_that_would_be_repeated_in_json_is_reported() -> None:
    errors: list[DefinitionIssue] = []
    read_document("a.yaml", "{1: a, '1': b}", errors)
    assert errors == [DefinitionIssue("a.yaml", 1, "1: is duplicated")]


def test_aliases_that_stand_for_too_many_values_are_rejected_before_they_are_expanded() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    merged = ["a0: &a0 { x: 1 }"]
    merged += [f"a{n}: &a{n} {{ <<: [{', '.join([f'*a{n - 1}'] * 10)}] }}" for n in range(1, 12)]
    for text in ("\n".join(lines), "\n".join(merged)):
        errors: list[DefinitionIssue] = []
        assert read_document("a.yaml", text, errors) is None
        assert [error.text for error in errors] == [
            "has more than 100,000 values with its aliases; use fewer aliases"
        ]


def test_a_document_that_is_nested_too_deep_is_rejected() -> None:
    errors: list[DefinitionIssue] = []
    assert read_document("a.yaml", f"a: {'[' * 2000}{']' * 2000}", errors) is None
    assert [error.text for error in errors] == ["is nested too deep"]
