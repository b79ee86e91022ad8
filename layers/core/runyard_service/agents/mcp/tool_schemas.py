"""Check the tools that a server lists: schemas, header parameters and invisible characters."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from runyard_service.agents.definitions.json_schema.checks import schema_issue
from runyard_service.agents.definitions.json_schema.validation import (
    WITH_LIST,
    WITH_NAMED,
    WITH_SCHEMA,
)
from runyard_service.agents.mcp.base import ListedTool
from runyard_service.agents.mcp.stateless import header_text
from runyard_service.domain.visible_text import escape_invisible

HEADER_KEYWORD = "x-mcp-header"
MAX_DEPTH = 64
_MAX_NAME_CHARACTERS = 256
_HEADER_TYPES = frozenset({"boolean", "integer", "string"})
# A field name of HTTP (RFC 9110).
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# A person or a model reads these texts; a validator does not.
_ANNOTATIONS = frozenset({"$comment", "description", "title"})

_Path = tuple[str, ...]


class UnusableToolError(Exception):
    """A tool cannot be used; the text says why."""


def checked_tool(fields: Mapping[str, Any]) -> ListedTool:
    """Return a tool of a server's list, with its descriptions made visible.

    Raise UnusableToolError.
    """
    name, description = fields.get("name"), fields.get("description")
    if not isinstance(name, str) or not 0 < len(name) <= _MAX_NAME_CHARACTERS:
        raise UnusableToolError("its name is missing or too long")
    if escape_invisible(name) != name:
        raise UnusableToolError("its name has invisible characters")
    parameters = _checked_schema(fields.get("inputSchema"), "inputSchema")
    if parameters.get("type") != "object":
        raise UnusableToolError("inputSchema: the type must be `object`")
    header_parameters(parameters)
    output_schema, annotations = fields.get("outputSchema"), fields.get("annotations")
    title = fields.get("title")
    return ListedTool(
        name=name,
        description=escape_invisible(
            next((text for text in (description, title) if isinstance(text, str) and text), name)
        ),
        parameters=parameters,
        output_schema=(
            None if output_schema is None else _checked_schema(output_schema, "outputSchema")
        ),
        annotations=(
            _visible(annotations, escape_invisible) if isinstance(annotations, Mapping) else {}
        ),
    )


def header_parameters(schema: Mapping[str, Any]) -> dict[_Path, str]:
    """Return the parameters that a call repeats in headers: the header's name by the path.

    Raise UnusableToolError for an invalid `x-mcp-header`.
    """
    found: dict[_Path, str] = {}
    for path, part in _positions(schema, ()):
        if HEADER_KEYWORD not in part:
            continue
        name = part[HEADER_KEYWORD]
        if not path or not isinstance(name, str) or not re.fullmatch(_TOKEN, name):
            raise UnusableToolError(
                f"{HEADER_KEYWORD} is at an invalid position or has no header name"
            )
        if not isinstance(part.get("type"), str) or part["type"] not in _HEADER_TYPES:
            raise UnusableToolError(f"{HEADER_KEYWORD} {name}: the type cannot be in a header")
        if name.lower() in map(str.lower, found.values()):
            raise UnusableToolError(f"{HEADER_KEYWORD} {name} is there twice")
        found[path] = name
    return found


def parameter_headers(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the headers of a call that repeat arguments."""
    headers = {}
    for path, name in header_parameters(schema).items():
        value: Any = arguments
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if isinstance(value, bool):
            headers[f"mcp-param-{name.lower()}"] = str(value).lower()
        elif isinstance(value, str | int | float):
            headers[f"mcp-param-{name.lower()}"] = header_text(str(value))
    return headers


def _checked_schema(value: object, field: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise UnusableToolError(f"{field} is no JSON Schema")
    schema: Mapping[str, Any] = _visible(value, _rejected)
    if issue := schema_issue(schema):
        path, text = issue
        raise UnusableToolError(f"{field} {'.'.join(map(str, path))} {text}"[:300])
    return schema


def _visible(value: Any, other_text: Callable[[str], str], depth: int = 0) -> Any:
    """Return the value with its descriptions made visible; `other_text` treats other texts."""
    if depth > MAX_DEPTH:
        raise UnusableToolError(f"it is nested deeper than {MAX_DEPTH} levels")
    match value:
        case str():
            return other_text(value)
        case Mapping():
            return {
                _rejected(name): (
                    escape_invisible(item)
                    if name in _ANNOTATIONS and isinstance(item, str)
                    else _visible(item, other_text, depth + 1)
                )
                for name, item in value.items()
            }
        case list():
            return [_visible(item, other_text, depth + 1) for item in value]
        case _:
            return value


def _rejected(text: str) -> str:
    """Return a text that the server compares with arguments, so it cannot be escaped."""
    if escape_invisible(text) != text:
        raise UnusableToolError("a value or a property of its schema has invisible characters")
    return text


def _positions(schema: Any, path: _Path | None) -> Iterator[tuple[_Path | None, Mapping[str, Any]]]:
    """Yield each schema in a schema with its path; None for parts that are not plain properties."""
    if not isinstance(schema, Mapping):
        return
    yield path, schema
    for keyword, value in schema.items():
        if keyword == "properties" and isinstance(value, Mapping):
            for name, part in value.items():
                yield from _positions(part, None if path is None else (*path, name))
        elif keyword in WITH_SCHEMA:
            yield from _positions(value, None)
        elif keyword in WITH_LIST and isinstance(value, list):
            for part in value:
                yield from _positions(part, None)
        elif keyword in WITH_NAMED | {"definitions"} and isinstance(value, Mapping):
            for part in value.values():
                yield from _positions(part, None)
