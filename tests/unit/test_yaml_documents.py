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
