"""JSON Schema validation with Runyard's messages, by the path of the invalid field.

A stranger or a model may choose the value, and a model the schema of a form. jsonschema_rs collects
every error of a value, and for `anyOf` every error of every branch: 2 MB of wrong items took 17 s
and 2 GB. So this module asks only whether a value is valid. To find an error, it descends from a
part of the schema that rejects its value to an inner part that rejects an inner value.
"""

import json
import re
from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from itertools import chain, islice
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

import jsonschema_rs

from runyard_service.agents.definitions.known_fields import known_names

MAX_ERRORS = 20
# An error in a deeper part is reported at this depth. A `$ref` may lead to itself.
_MAX_DEPTH = 32
_ROOT = "urn:runyard:schema"
# Keywords by what their value contains: a schema, a list of schemas, or schemas by name.
WITH_SCHEMA = frozenset(
    {"additionalProperties", "propertyNames", "items", "contains", "not", "if", "then", "else"}
    | {"unevaluatedItems", "unevaluatedProperties"}
)
WITH_LIST = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
WITH_NAMED = frozenset({"properties", "patternProperties", "dependentSchemas", "$defs"})
# `_own_issues` checks all other keywords, and `additionalProperties`, which can be false.
_WITH_SCHEMAS = (WITH_SCHEMA - {"additionalProperties"}) | WITH_LIST | WITH_NAMED
_WITH_SCHEMAS |= {"$ref", "$dynamicRef", "$id", "definitions"}

Issue = tuple[list[str], str]


class _Part(NamedTuple):
    """A part of a schema with its JSON pointer, and a value with its path."""

    schema: Any
    pointer: str
    value: Any
    path: list[str]

    def at(self, *keywords: str | int) -> "_Part":
        """Return the inner schema at these keys, for the same value."""
        schema, pointer = self.schema, self.pointer
        for name in keywords:
            schema = schema[name]
            pointer += "/" + quote(str(name).replace("~", "~0").replace("/", "~1"))
        return self._replace(schema=schema, pointer=pointer)


# Older drafts of JSON Schema do not know the format.
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def build_validator(schema: Mapping[str, Any], registry: Any = None) -> Any:
    """Return the validator of a schema, which also enforces `format`.

    `registry` has the documents that the schema refers to by their ids.

    Raise jsonschema_rs.ValidationError if the schema is invalid or refers to another document.
    """
    return jsonschema_rs.validator_for(
        dict(schema),
        registry=registry,
        offline=True,
        validate_formats=True,
        formats={"uuid": lambda text: _UUID.fullmatch(text) is not None},
    )


@lru_cache(maxsize=256)
def _validator(schema_text: str) -> Any:
    return build_validator(json.loads(schema_text))


def validate(schema: Mapping[str, Any], value: Any, under: str = "") -> dict[str, str]:
    """Return the first error of each top-level field by its dotted path; empty if valid.

    `under` is the path of `value` itself, e.g. `input`. At most MAX_ERRORS are returned.
    """
    text = json.dumps(schema, sort_keys=True)
    if _validator(text).is_valid(value):
        return {}
    path = [under] if under else []
    issues = _issues(_Document(dict(schema)), _Part(schema, "", value, path))
    errors: dict[str, str] = {}
    for issue_path, message in islice(issues, MAX_ERRORS):
        errors.setdefault(".".join(issue_path) or "value", message)
    return errors


class _Document:
    """A whole schema, whose parts are applied in place: they may refer to each other."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._schema = schema
        self._root = schema.get("$id", _ROOT)
        self._registry = jsonschema_rs.Registry([(self._root, schema)])

    def rejects(self, part: _Part) -> bool:
        """Return whether the part rejects its value."""
        return not self._validator({"$ref": f"{self._root}#{part.pointer}"}).is_valid(part.value)

    def first_rejected_item(self, part: _Part) -> int | None:
        """Return the index of the first item that the part rejects, by binary search."""
        validator = self._validator({"items": {"$ref": f"{self._root}#{part.pointer}"}})
        if validator.is_valid(part.value):
            return None
        lengths = range(1, len(part.value) + 1)
        return bisect_left(lengths, True, key=lambda n: not validator.is_valid(part.value[:n]))

    def _validator(self, schema: Mapping[str, Any]) -> Any:
        return build_validator(schema, self._registry)

    def referenced(self, part: _Part) -> _Part | None:
        """Return the part that a local `$ref` of this part names, if it has one."""
        reference = str(part.schema.get("$ref", ""))
        if not reference.startswith("#/"):
            return None
        names = [unquote(n).replace("~1", "/").replace("~0", "~") for n in reference[2:].split("/")]
        return part._replace(schema=self._schema, pointer="").at(*names)


def _issues(document: _Document, part: _Part) -> Iterator[Issue]:
    """Yield the first issue of each field, and those of the value itself; at least one."""
    found = chain(
        (_first_issue(document, field) for field in _fields(part) if document.rejects(field)),
        _own_issues(part),
    )
    first = next(found, None)
    yield first or _first_issue(document, part)
    yield from found


def _first_issue(document: _Document, part: _Part, depth: int = 0) -> Issue:
    if depth < _MAX_DEPTH:
        for inner in _inner_parts(document, part):
            if document.rejects(inner):
                return _first_issue(document, inner, depth + 1)
    return next(_own_issues(part), (part.path, _general_message(part.schema)))


def _inner_parts(document: _Document, part: _Part) -> Iterator[_Part]:
    if not isinstance(part.schema, Mapping):
        return
    if referenced := document.referenced(part):
        yield referenced
    for index, _ in enumerate(part.schema.get("allOf", ())):
        yield part.at("allOf", index)
    yield from _fields(part)
    if isinstance(part.value, list) and "items" in part.schema:
        first = len(part.schema.get("prefixItems", ()))
        items = part.at("items")._replace(value=part.value[first:])
        if (wrong := document.first_rejected_item(items)) is not None:
            yield items._replace(value=items.value[wrong], path=[*part.path, str(first + wrong)])


def _fields(part: _Part) -> Iterator[_Part]:
    if isinstance(part.schema, Mapping) and isinstance(part.value, Mapping):
        for name in part.schema.get("properties", {}):
            if name in part.value:
                field = part.at("properties", name)
                yield field._replace(value=part.value[name], path=[*part.path, name])


def _own_issues(part: _Part) -> Iterator[Issue]:
    """Yield what the own keywords of the part reject, without those that apply other schemas."""
    if not isinstance(part.schema, Mapping):
        return
    own = {name: rule for name, rule in part.schema.items() if name not in _WITH_SCHEMAS}
    if own.get("additionalProperties") is False:
        for name in ("properties", "patternProperties"):
            own[name] = dict.fromkeys(part.schema.get(name, ()), True)
    else:
        own.pop("additionalProperties", None)
    for error in build_validator(own).iter_errors(part.value):
        yield from _described(error.kind, part.path, own.get("properties", ()))


def _general_message(schema: Any) -> str:
    names = [n for n in schema if n in _WITH_SCHEMAS] if isinstance(schema, Mapping) else []
    return f"does not fit the schema ({names[0]})" if names else "is not allowed"


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


def describe_error(kind: Any) -> str:
    """Return the message of an error of jsonschema_rs."""
    return _described(kind, [])[0][1]


def _described(
    kind: Any, path: list[str], known: Collection[str] = ()
) -> list[tuple[list[str], str]]:
    """Return the path and message of each error; `known` are the fields that `path` can have."""
    match kind.name:
        case "required":
            return [([*path, kind.property], "is required")]
        case "additionalProperties":
            return [
                ([*path, name], f"is not a known field{known_names(name, known)}")
                for name in kind.unexpected[:MAX_ERRORS]
            ]
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


def format_issues(issues: Mapping[str, str]) -> str:
    """Return the issues of `validate` as one text."""
    return "; ".join(f"{name} {issue}" for name, issue in issues.items())
