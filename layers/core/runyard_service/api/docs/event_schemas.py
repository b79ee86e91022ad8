"""The schemas of events in the OpenAPI document, made from the types of their data.

Both APIs describe an event as `oneOf` with a schema for each type; `type` is the discriminator.
`UnknownEvent` and `ThreadsUnknownEvent` accept the types of later releases.
"""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from runyard_service.api.threads.event_payloads import THREADS_EVENT_PAYLOADS
from runyard_service.domain.event_payloads.by_type import EVENT_PAYLOADS

_Schema = dict[str, Any]
_REFERENCE = "#/components/schemas/{model}"
_MODE: JsonSchemaMode = "serialization"
_RUNS_ENVELOPE: _Schema = {
    "id": {"type": "string", "format": "uuid"},
    "type": {"type": "string"},
    "sequence": {"type": "integer", "minimum": 1},
    "timestamp": {"type": "string", "format": "date-time"},
    "data": {"type": "object", "additionalProperties": True},
}
_THREADS_ENVELOPE: _Schema = {
    "seq": {"type": "integer", "minimum": 1},
    "type": {"type": "string"},
    "data": {"type": "object", "additionalProperties": True},
    "created_at": {"type": "string", "format": "date-time"},
    "run_id": {"type": "string", "format": "uuid"},
}


def event_schemas() -> dict[str, _Schema]:
    """Return the schemas `Event` and `ThreadsEvent`, and those that they refer to, by name."""
    return {
        **_union("", _RUNS_ENVELOPE, EVENT_PAYLOADS),
        **_union("Threads", _THREADS_ENVELOPE, THREADS_EVENT_PAYLOADS),
    }


def _union(
    prefix: str, envelope: Mapping[str, Any], payloads: Mapping[Any, Any]
) -> dict[str, _Schema]:
    """Return the union of an API's events, its members and the schemas of their data."""
    references, schemas = _payload_schemas(payloads)
    mapping: dict[str, str] = {}
    for type_, reference in references.items():
        member = f"{prefix}{_class_name(type_)}Event"
        schemas[member] = _member(envelope, {"type": "string", "const": type_}, reference)
        mapping[type_] = _REFERENCE.format(model=member)
    unknown = f"{prefix}UnknownEvent"
    schemas[unknown] = {
        **_member(envelope, {"type": "string", "not": {"enum": [*payloads]}}, envelope["data"]),
        "description": "An event of a type that a later release has added. Clients ignore it.",
    }
    members = [*mapping.values(), _REFERENCE.format(model=unknown)]
    union = {
        "description": "An event. `type` says which fields `data` has. Later releases add types.",
        "oneOf": [{"$ref": member} for member in members],
        "discriminator": {"propertyName": "type", "mapping": mapping},
    }
    return {f"{prefix}Event": union, **schemas}


def _member(envelope: Mapping[str, Any], type_: _Schema, data: _Schema) -> _Schema:
    return {
        "type": "object",
        "required": [*envelope],
        "properties": {**envelope, "type": type_, "data": data},
    }


def _payload_schemas(
    payloads: Mapping[Any, Any],
) -> tuple[dict[str, _Schema], dict[str, _Schema]]:
    """Return the reference to the data's schema for each type, and the schemas by name."""
    inputs = [(type_, _MODE, TypeAdapter(payload)) for type_, payload in payloads.items()]
    references, whole = TypeAdapter.json_schemas(inputs, ref_template=_REFERENCE)
    schemas = {name: _without_titles(schema) for name, schema in whole["$defs"].items()}
    return {type_: references[type_, _MODE] for type_ in payloads}, schemas


def _without_titles(schema: Any) -> Any:
    """Return the schema without the titles that pydantic makes from the names of fields."""
    if isinstance(schema, list):
        return [_without_titles(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: (
            {key: _without_titles(field) for key, field in part.items()}
            if name == "properties"
            else _without_titles(part)
        )
        for name, part in schema.items()
        if name != "title"
    }


def _class_name(type_: str) -> str:
    """Return `AgentToolCallStarted` for `agent.tool_call.started`."""
    return "".join(word.capitalize() for word in re.split(r"[._]", type_))
