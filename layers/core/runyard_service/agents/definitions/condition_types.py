"""Check that the conditions of an approval rule can be evaluated for a tool's parameters.

A condition on a value of another type is never false, so it would ask a person about each call.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from runyard_service.agents.definitions.conditions import Condition, Test
from runyard_service.agents.definitions.known_fields import suggestion

# A schema with one of these can describe values that `properties` and `type` do not.
_COMBINED = frozenset({"$ref", "$dynamicRef", "anyOf", "oneOf", "allOf", "if"})
_NUMBERS = frozenset({"integer", "number"})
_TEXTS = frozenset({"string"})


def condition_issues(
    condition: Condition, parameters: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """Yield the path and the message of each condition that does not suit the parameters."""
    for path, test in condition.items():
        schema = schema_at(parameters, path)
        if schema is None:
            known = parameters.get("properties", {})
            yield path, f"{path!r} is not a parameter{suggestion(path, known)}"
            continue
        needed = _needed_types(test)
        if not needed or _COMBINED & schema.keys():
            continue
        if not needed & _types(schema):
            kind = "number or integer" if needed is _NUMBERS else "string"
            yield path, f"requires that the parameter {path!r} has the type {kind}"


def _needed_types(test: Any) -> frozenset[str]:
    """Return the types that a test can be evaluated for; empty for any type."""
    fields = test.model_fields_set if isinstance(test, Test) else set()
    if fields & {"above", "below"}:
        return _NUMBERS
    return _TEXTS if fields & {"contains", "matches"} else frozenset()


def _types(schema: Mapping[str, Any]) -> set[str]:
    declared = schema.get("type", ())
    return {declared} if isinstance(declared, str) else set(declared)


def schema_at(schema: Mapping[str, Any], path: str) -> Mapping[str, Any] | None:
    """Return the schema of the value at a dotted path; None if there is no such value.

    Return the deepest schema that combines others: they can describe the value.
    """
    for part in path.split("."):
        if _COMBINED & schema.keys():
            return schema
        inner = schema.get("properties", {}).get(part)
        if inner is None and part.isdigit():
            inner = schema.get("items")
        if inner is None:
            inner = schema.get("additionalProperties")
        if not isinstance(inner, Mapping):
            return None
        schema = inner
    return schema
