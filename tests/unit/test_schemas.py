"""Validation against a JSON Schema, with the messages of the API."""

from typing import Any

import pytest

from runyard_service.agents.definitions.schemas import validate

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 5},
        "kind": {"enum": ["a", "b"]},
        "sizes": {"type": "array", "items": {"type": "integer", "minimum": 3}},
    },
    "required": ["name"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("value", "errors"),
    [
        ({"name": "x", "kind": "a", "sizes": [3, 4]}, {}),
        ({}, {"input.name": "is required"}),
        ({"name": ""}, {"input.name": "cannot be blank"}),
        ({"name": "123456"}, {"input.name": "must be at most 5 characters long"}),
        ({"name": 1}, {"input.name": "must be of type string"}),
        ({"name": "x", "more": 1}, {"input.more": "is not a known field"}),
        ({"name": "x", "kind": "c"}, {"input.kind": 'must be one of "a", "b"'}),
        (
            {"name": "x", "sizes": [3, 1, "y"]},
            {"input.sizes.1": "must be at least 3", "input.sizes.2": "must be of type integer"},
        ),
        ("text", {"input": "must be of type object"}),
    ],
)
def test_each_error_is_named_by_its_path(value: Any, errors: dict[str, str]) -> None:
    assert validate(SCHEMA, value, under="input") == errors
