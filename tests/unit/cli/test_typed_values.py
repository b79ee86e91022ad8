"""`-i NAME=VALUE` gets the type of the agent's input schema."""

from typing import Any

import pytest

from runyard.cli.runs.typed_values import parse_assignments

SCHEMA = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "count": {"type": "integer"},
        "price": {"type": "number"},
        "is_new": {"type": "boolean"},
        "tags": {"type": "array"},
        "address": {"$ref": "#/$defs/Address"},
        "level": {"enum": ["low", "high", 3]},
        "size": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "code": {"type": ["string", "integer"]},
        "anything": {},
    },
    "$defs": {"Address": {"type": "object"}},
}


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("text=12", "12"),
        ("text=", ""),
        ("text=a=b", "a=b"),
        ("count=12", 12),
        ("count=12.0", 12.0),
        ("price=0.5", 0.5),
        ("price=7", 7),
        ("is_new=true", True),
        ('tags=["a"]', ["a"]),
        ('address={"city": "Rome"}', {"city": "Rome"}),
        ("level=low", "low"),
        ("level=3", 3),
        ("size=null", None),
        ("size=4", 4),
        ("code=4", 4),
        ("code=x4", "x4"),
        ("anything=4", "4"),
        ("unknown=true", "true"),
        ("unknown:=true", True),
        ('text:={"a": 1}', {"a": 1}),
    ],
)
def test_a_value_has_the_type_of_its_schema(word: str, value: Any) -> None:
    [parsed] = parse_assignments([word], SCHEMA).values()
    assert (parsed, type(parsed)) == (value, type(value))


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("text", "text: must be NAME=VALUE, or NAME:=JSON"),
        ("=x", "=x: must be NAME=VALUE, or NAME:=JSON"),
        ("count=x", "count: must be an integer"),
        ("count=1.5", "count: must be an integer"),
        ("count=true", "count: must be an integer"),
        ("price=NaN", "price: must be a number"),
        ("is_new=yes", "is_new: must be true or false"),
        ("tags=a", "tags: must be a JSON array"),
        ("address=Rome", "address: must be a JSON object"),
        ("level=middle", "level: must be one of: low, high, 3"),
        ("size=x", "size: must be an integer or null"),
    ],
)
def test_an_error_says_what_is_allowed(word: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        parse_assignments([word], SCHEMA)


def test_invalid_json_says_where() -> None:
    with pytest.raises(ValueError, match=r"^tags: is not JSON: .* column 2"):
        parse_assignments(["tags:=[x]"], SCHEMA)


def test_a_circular_reference_is_any_value() -> None:
    schema = {"properties": {"a": {"$ref": "#/properties/a"}}}
    assert parse_assignments(["a=1"], schema) == {"a": "1"}
