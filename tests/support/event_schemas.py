"""Compare events with their schemas in the OpenAPI document."""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from functools import cache
from typing import Any

from jsonschema_rs import Validator, validator_for

from runyard_service.api.openapi import document


def find_schema_violations(events: Iterable[Mapping[str, Any]], union: str = "Event") -> list[str]:
    """Return what is wrong with the events, one line for each error.

    A field that the schema lacks is an error here. Clients ignore it, but nothing documents it.
    """
    known = document()["components"]["schemas"][union]["discriminator"]["mapping"]
    violations = []
    for event in events:
        kind = event["type"]
        if kind not in known:
            violations.append(f"{kind} has no schema")
            continue
        violations += [
            f"{kind}: {'.'.join(map(str, error.instance_path))}: {error.message}"
            for error in _validator(known[kind]).iter_errors(dict(event))
        ]
    return violations


@cache
def _validator(reference: str) -> Validator:
    components = _closed(deepcopy(document()["components"]))
    return validator_for({"$ref": reference, "components": components})


def _closed(part: Any) -> Any:
    """Return the schemas, and forbid fields that an object does not list."""
    if isinstance(part, list):
        return [_closed(item) for item in part]
    if not isinstance(part, dict):
        return part
    closed = {name: _closed(inner) for name, inner in part.items()}
    if part.get("type") == "object" and "properties" in part:
        closed.setdefault("additionalProperties", False)
    return closed
