"""Validation against a JSON Schema, with the messages of the API."""

import subprocess
import sys
from typing import Any

import pytest

from runyard_service.agents.definitions.input_forms import form_issue, validate_answer
from runyard_service.agents.definitions.json_schema.validation import validate

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
        (
            {"name": "x", "more": 1},
            {"input.more": "is not a known field; known: kind, name, sizes"},
        ),
        (
            {"name": "x", "size": [3]},
            {"input.size": "is not a known field; known: kind, name, sizes; did you mean 'sizes'?"},
        ),
        ({"name": "x", "kind": "c"}, {"input.kind": 'must be one of "a", "b"'}),
        (
            {"name": "12345678", "sizes": [3, 1, "y"]},
            {
                "input.name": "must be at most 5 characters long",
                "input.sizes.1": "must be at least 3",
            },
        ),
        ("text", {"input": "must be of type object"}),
    ],
)
def test_each_error_is_named_by_its_path(value: Any, errors: dict[str, str]) -> None:
    assert validate(SCHEMA, value, under="input") == errors


@pytest.mark.parametrize(
    ("schema", "value", "errors"),
    [
        (
            {"$ref": "#/$defs/n", "$defs": {"n": {"properties": {"next": {"$ref": "#/$defs/n"}}}}},
            {"next": {"next": 1}},
            {},
        ),
        (
            {
                "$defs": {
                    "node": {"type": "object", "properties": {"n": {"$ref": "#/$defs/node"}}}
                },
                "$ref": "#/$defs/node",
            },
            {"n": {"n": 1}},
            {"n.n": "must be of type object"},
        ),
        ({"properties": {"a/b~ %": {"type": "string"}}}, {"a/b~ %": 1}, "a/b~ %"),
        ({"$id": "urn:x", "properties": {"a": {"type": "string"}}}, {"a": 1}, "a"),
        ({"allOf": [{}, {"properties": {"a": {"type": "string"}}}]}, {"a": 1}, "a"),
        ({"prefixItems": [{}], "items": {"type": "string"}}, [1, "x", 2, 3], "2"),
        (
            {"properties": {"a": {"anyOf": [{"type": "string"}, {"type": "null"}]}}},
            {"a": 1},
            {"a": "does not fit the schema (anyOf)"},
        ),
        ({"properties": {"a": False}}, {"a": 1}, {"a": "is not allowed"}),
        (
            {
                "properties": {
                    "a": {"properties": {"b": {}}, "additionalProperties": False},
                    **{f"field_{n:03}": {} for n in range(30)},
                },
                "additionalProperties": False,
            },
            {"a": {"c": 1}, "d": 1},
            {
                "a.c": "is not a known field; known: b",
                "d": "is not a known field; known: a, "
                + "".join(f"field_{n:03}, " for n in range(19))
                + "…",
            },
        ),
        (
            {"additionalProperties": False},
            {f"field_{n:03}": 1 for n in range(50)},
            {f"field_{n:03}": "is not a known field" for n in range(20)},
        ),
    ],
)
def test_the_first_error_of_each_field_is_found(
    schema: dict[str, Any], value: Any, errors: dict[str, str] | str
) -> None:
    expected = {errors: "must be of type string"} if isinstance(errors, str) else errors
    assert validate(schema, value) == expected


_MANY_ERRORS = """
import resource
from runyard_service.agents.definitions.json_schema.validation import validate
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
text = {"type": "array", "items": {"type": "string"}}
branches = {"anyOf": [{"items": {"type": "string", "maxLength": n}} for n in range(250)]}
assert validate({"properties": {"a": text}}, {"a": [1] * 1_000_000})
assert validate({"properties": {"a": text}}, {"a": ["x"] * 500_000 + [1]})
assert validate({"properties": {"a": branches}}, {"a": [1] * 7_000})
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_many_errors_need_little_memory() -> None:
    """Collecting every error of these values takes more than 2 GB."""
    result = subprocess.run(
        [sys.executable, "-c", _MANY_ERRORS], capture_output=True, text=True, check=True, timeout=60
    )
    assert int(result.stdout) < 150  # MB


@pytest.mark.parametrize(
    ("name", "valid", "invalid"),
    [
        ("date", "2026-02-28", "2026-02-30"),
        ("date-time", "2026-02-28T10:00:00Z", "2026-02-28"),
        ("time", "10:00:00Z", "25:00:00Z"),
        ("duration", "P1D", "1 day"),
        ("uuid", "01234567-89ab-cdef-0123-456789abcdef", "0123"),
        ("email", "a@example.com", "example.com"),
        ("uri", "https://example.com/a", "not a uri"),
        ("hostname", "example.com", "-example"),
        ("ipv4", "192.0.2.1", "192.0.2.256"),
        ("ipv6", "2001:db8::1", "2001:db8::g"),
    ],
)
@pytest.mark.parametrize("draft", ["draft-07/schema#", "draft/2020-12/schema"])
def test_formats_are_enforced(name: str, valid: str, invalid: str, draft: str) -> None:
    host = "http://json-schema.org/" if "07" in draft else "https://json-schema.org/"
    schema = {
        "$schema": host + draft,
        "type": "object",
        "properties": {"a": {"type": "string", "format": name}},
    }
    if (name, "07" in draft) == ("duration", True):
        return  # This draft does not have the format.
    assert validate(schema, {"a": valid}) == {}
    assert validate(schema, {"a": invalid}) == {"a": f"must match the format {name}"}


def test_the_format_of_a_value_of_another_type_is_not_checked() -> None:
    assert validate({"format": "uuid"}, 5) == {}


def test_forms_enforce_formats() -> None:
    form = {"type": "object", "properties": {"on": {"type": "string", "format": "date"}}}
    assert form_issue(form) is None
    assert validate_answer({"form": form}, {"on": "2026-11-28"}) == {}
    errors = validate_answer({"form": form}, {"on": "tomorrow"})
    assert errors == {"feedback.on": "must match the format date"}
