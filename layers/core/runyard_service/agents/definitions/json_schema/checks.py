"""Check a JSON Schema of an agent file, and say in words what is invalid."""

from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema_rs

from runyard_service.agents.definitions.json_schema.validation import (
    WITH_LIST,
    WITH_NAMED,
    WITH_SCHEMA,
    build_validator,
    describe_error,
)
from runyard_service.agents.definitions.known_fields import similar_name

_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
_KEYWORDS = (
    WITH_SCHEMA
    | WITH_LIST
    | WITH_NAMED
    | {"type", "enum", "const", "required", "pattern", "format", "multipleOf", "uniqueItems"}
    | {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength"}
    | {"minItems", "maxItems", "minProperties", "maxProperties", "minContains", "maxContains"}
    | {"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"}
    | {"dependentRequired", "definitions", "dependencies", "additionalItems"}
    | {"contentEncoding", "contentMediaType", "contentSchema"}
)
_OTHER_PROPERTIES = frozenset({"patternProperties", "$ref", "allOf", "anyOf", "oneOf"})
# Known to other dialects, and similar to a keyword.
_OTHER = frozenset({"example", "id"})

_Path = tuple[str | int, ...]
SchemaIssue = tuple[_Path, str]


def schema_issue(schema: Mapping[str, Any]) -> SchemaIssue | None:
    """Return the path and the text of the first error of a JSON Schema, or None."""
    try:
        # Only building the validator checks patterns and references.
        build_validator(schema)
    except jsonschema_rs.ValidationError as error:
        path = tuple(error.instance_path)
        return path, f"is not a valid JSON Schema: {_words(error, path)}"
    return None


def misspelt_name(schema: Mapping[str, Any]) -> SchemaIssue | None:
    """Return the path and the text of the first name in a valid schema that is misspelt.

    It is a keyword that is similar to a known one: a validator ignores it. Or it is a required
    property that the schema does not allow: then it rejects every value.
    """
    for path, part in _parts(schema, ()):
        properties = part.get("properties", {})
        for name in part.get("required", ()) if part.get("additionalProperties") is False else ():
            if name not in properties and not part.keys() & _OTHER_PROPERTIES:
                hint = similar_name(str(name), properties)
                return (*path, "required"), f"{name!r} is not one of the properties{hint}"
        for name in part.keys() - _KEYWORDS - _OTHER:
            hint = similar_name(str(name), _KEYWORDS, similarity=0.8)
            if hint and not str(name).startswith(("$", "x-")):
                return (*path, name), f"is not a keyword of JSON Schema{hint}"
    return None


def _words(error: jsonschema_rs.ValidationError, path: _Path) -> str:
    value = error.instance
    if path[-1:] == ("type",):
        hint = similar_name(value, _TYPES) if isinstance(value, str) else ""
        known = ", ".join(_TYPES)
        return f"must be one of {known}, or a list of them{hint}"
    match error.kind.name:
        case "$ref":
            return f"a reference must lead to a part of the same schema ({error.message})"
        case "format" if path[-1:] == ("pattern",):
            return "must be a regular expression"
        case _:
            return describe_error(error.kind)


def _parts(
    schema: Any, path: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], Mapping[str, Any]]]:
    """Yield the schema and each schema in it, with its path."""
    if not isinstance(schema, Mapping):
        return
    yield path, schema
    for name, value in schema.items():
        if name in WITH_SCHEMA:
            yield from _parts(value, (*path, name))
        elif name in WITH_LIST and isinstance(value, list):
            for index, part in enumerate(value):
                yield from _parts(part, (*path, name, index))
        elif name in WITH_NAMED and isinstance(value, Mapping):
            for key, part in value.items():
                yield from _parts(part, (*path, name, key))
