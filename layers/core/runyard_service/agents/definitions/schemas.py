"""JSON Schema validation with Runyard's messages, by the path of the invalid field."""

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import jsonschema_rs

# Older drafts of JSON Schema do not know the format.
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def build_validator(schema: Mapping[str, Any]) -> Any:
    """Return the validator of a schema, which also enforces `format`.

    Raise jsonschema_rs.ValidationError if the schema is invalid or refers to another document.
    """
    return jsonschema_rs.validator_for(
        dict(schema),
        offline=True,
        validate_formats=True,
        formats={"uuid": lambda text: _UUID.fullmatch(text) is not None},
    )


@lru_cache(maxsize=256)
def _validator(schema_text: str) -> Any:
    return build_validator(json.loads(schema_text))


def validate(schema: Mapping[str, Any], value: Any, under: str = "") -> dict[str, str]:
    """Return a message for each invalid field by its dotted path; empty if the value is valid.

    `under` is the path of `value` itself, e.g. `input`.
    """
    errors: dict[str, str] = {}
    for error in _validator(json.dumps(schema, sort_keys=True)).iter_errors(value):
        path = [part for part in [under, *map(str, error.instance_path)] if part]
        for name, message in _described(error.kind, path):
            errors.setdefault(".".join(name) or "value", message)
    return errors


# Messages of the keywords that set a limit.
_LIMITS = {
    "maxLength": "must be at most {} characters long",
    "maxItems": "must have at most {} items",
    "maxProperties": "must have at most {} fields",
    "minItems": "must have at least {} items",
    "minProperties": "must have at least {} fields",
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
    "exclusiveMinimum": "must be above {}",
    "exclusiveMaximum": "must be below {}",
}


def _described(kind: Any, path: list[str]) -> list[tuple[list[str], str]]:
    match kind.name:
        case "required":
            return [([*path, kind.property], "is required")]
        case "additionalProperties":
            return [([*path, name], "is not a known field") for name in kind.unexpected]
        case "type":
            return [(path, f"must be of type {' or '.join(kind.types)}")]
        case "enum":
            return [(path, f"must be one of {', '.join(map(json.dumps, kind.options))}")]
        case "format":
            return [(path, f"must match the format {kind.format}")]
        case "minLength" if kind.limit == 1:
            return [(path, "cannot be blank")]
        case "minLength":
            return [(path, f"must be at least {kind.limit} characters long")]
        case name if name in _LIMITS:
            return [(path, _LIMITS[name].format(kind.limit))]
        case name:
            return [(path, f"does not fit the schema ({name})")]
