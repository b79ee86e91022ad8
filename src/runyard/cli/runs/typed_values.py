"""Turn `NAME=VALUE` of a command line into JSON, by the JSON Schema of the values."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

_MAX_REFERENCES = 20


def parse_assignments(words: Iterable[str], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the object that `NAME=VALUE` and `NAME:=JSON` describe.

    The schema is that of the object. Without a schema of its own, a value is a string. Raise
    ValueError with the name and what is allowed.
    """
    values: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name.rstrip(":"):
            raise ValueError(f"{word}: must be NAME=VALUE, or NAME:=JSON")
        if name.endswith(":"):
            name = name[:-1]
            values[name] = _parse_json(name, text)
        else:
            values[name] = parse_value(name, text, _property(schema, name), schema)
    return values


def parse_value(
    name: str, text: str, schema: Mapping[str, Any], root: Mapping[str, Any] | None = None
) -> Any:
    """Return the JSON value of a text, by the types that its schema allows.

    `root` is the document for references such as `#/$defs/Money`. Raise ValueError.
    """
    choices, types = _allowed(schema, root or schema)
    for choice in choices:
        if text == choice or (not isinstance(choice, str) and text == json.dumps(choice)):
            return choice
    if choices:
        allowed = ", ".join(map(_as_text, choices))
        raise ValueError(f"{name}: must be one of: {allowed}")
    if not types or types == {"string"}:
        return text
    try:
        value = json.loads(text, parse_constant=_reject_constant)
    except ValueError:
        if "string" in types:
            return text
        raise ValueError(f"{name}: must be {_describe(types)}") from None
    if _type_of(value) & types:
        return value
    if "string" in types:
        return text
    raise ValueError(f"{name}: must be {_describe(types)}")


def _reject_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


def _parse_json(name: str, text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_reject_constant)
    except ValueError as error:
        raise ValueError(f"{name}: is not JSON: {error}") from None


def _property(schema: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = schema.get("properties", {}).get(name)
    return found if isinstance(found, Mapping) else {}


def _allowed(schema: Mapping[str, Any], root: Mapping[str, Any]) -> tuple[list[Any], set[str]]:
    """Return the values and the types that a schema allows; both are empty if it allows any."""
    choices: list[Any] = []
    types: set[str] = set()
    open_ = [schema]
    for _ in range(_MAX_REFERENCES):
        if not open_:
            break
        current = _resolve(open_.pop(), root)
        if "enum" in current:
            choices += current["enum"]
        elif "const" in current:
            choices.append(current["const"])
        elif "type" in current:
            named = current["type"]
            types |= {named} if isinstance(named, str) else set(named)
        else:
            open_ += [*current.get("anyOf", ()), *current.get("oneOf", ())]
    return ([], types) if types else (choices, types)


def _resolve(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema that a reference names; an empty one if it is not in the document."""
    reference = schema.get("$ref")
    if not isinstance(reference, str):
        return schema
    found: Any = root
    for part in reference.removeprefix("#/").split("/"):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _type_of(value: Any) -> set[str]:
    if isinstance(value, bool):
        return {"boolean"}
    if isinstance(value, float):
        return {"number", "integer"} if value.is_integer() else {"number"}
    if isinstance(value, int):
        return {"integer", "number"}
    names = {str: "string", list: "array", dict: "object", type(None): "null"}
    return {names[type(value)]}


def _describe(types: set[str]) -> str:
    """Return the types in words, such as `a number or null`."""
    words = {
        "array": "a JSON array",
        "boolean": "true or false",
        "integer": "an integer",
        "null": "null",
        "number": "a number",
        "object": "a JSON object",
        "string": "a string",
    }
    return " or ".join(words.get(name, name) for name in sorted(types))


def _as_text(choice: Any) -> str:
    return choice if isinstance(choice, str) else json.dumps(choice)
