"""Render openapi.json as Markdown: one section per operation, one per schema."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

_Document = Mapping[str, Any]
_METHODS = ("get", "post", "put", "patch", "delete")


def render_api(document: _Document) -> str:
    """Return the operations by tag, then the schemas."""
    lines: list[str] = []
    for tag in document["tags"]:
        lines += [f"## {tag['name']}", "", tag["description"].strip(), ""]
        for path, method, operation in _operations(document, tag["name"]):
            lines += _operation_lines(document, path, method, operation)
    lines += ["## Schemas", ""]
    for name, schema in document["components"]["schemas"].items():
        lines += [f"### {name} {{ #{_anchor(name)} }}", ""]
        lines += [*_schema_lines(schema), ""]
    return "\n".join(lines)


def _operations(document: _Document, tag: str) -> Iterator[tuple[str, str, _Document]]:
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item and tag in item[method]["tags"]:
                shared = item.get("parameters", [])
                own = item[method].get("parameters", [])
                yield path, method, {**item[method], "parameters": [*shared, *own]}


def _operation_lines(
    document: _Document, path: str, method: str, operation: _Document
) -> list[str]:
    lines = [f"### {operation['summary']} {{ #{operation['operationId']} }}", ""]
    lines += [f"`{method.upper()} {path}`", ""]
    if description := operation.get("description", "").strip():
        lines += [description, ""]
    lines += _parameter_lines(document, operation["parameters"])
    lines += _body_lines(document, operation)
    return lines + _response_lines(document, operation)


def _parameter_lines(document: _Document, parameters: list[_Document]) -> list[str]:
    if not parameters:
        return []
    lines = ["| Parameter | In | Type | Description |", "|---|---|---|---|"]
    for reference in parameters:
        parameter = _resolve(document, reference)
        name = f"`{parameter['name']}`" + (" (required)" if parameter.get("required") else "")
        kind = _type_text(parameter.get("schema", {}))
        text = _cell(parameter.get("description", ""))
        lines.append(f"| {name} | {parameter['in']} | {kind} | {text} |")
    return [*lines, ""]


def _body_lines(document: _Document, operation: _Document) -> list[str]:
    if "requestBody" not in operation:
        return []
    content = _resolve(document, operation["requestBody"])["content"]
    lines = [f"**Body**: {_content_text(content)}", ""]
    return lines + _example_lines("Example body", content)


def _response_lines(document: _Document, operation: _Document) -> list[str]:
    lines = ["| Status | Meaning | Content |", "|---|---|---|"]
    examples: list[str] = []
    for status, reference in operation["responses"].items():
        response = _resolve(document, reference)
        content = response.get("content", {})
        lines.append(f"| {status} | {_cell(response['description'])} | {_content_text(content)} |")
        if status.startswith("2"):
            examples += _example_lines(f"Example response {status}", content)
    return [*lines, "", *examples]


def _content_text(content: _Document) -> str:
    kinds = (f"`{kind}` {_type_text(media.get('schema', {}))}" for kind, media in content.items())
    return ", ".join(kinds) or "-"


def _example_lines(title: str, content: _Document) -> list[str]:
    lines: list[str] = []
    for kind, media in content.items():
        if "json" in kind and "example" in media:
            text = json.dumps(media["example"], indent=2, ensure_ascii=False)
            block = [f"```json title={json.dumps(title)}", *text.splitlines(), "```"]
            lines += [*block, ""]
    return lines


def _schema_lines(schema: _Document) -> list[str]:
    lines = [schema["description"].strip(), ""] if "description" in schema else []
    for part in schema.get("allOf", []):
        if "$ref" in part:
            lines += [f"All fields of {_type_text(part)}, and:", ""]
        schema = {**schema, **{name: part[name] for name in part if name != "$ref"}}
    if not (properties := schema.get("properties")):
        return [*lines, f"Type: {_type_text(schema)}"]
    required = schema.get("required", [])
    lines += ["| Field | Type | Description |", "|---|---|---|"]
    for name, field in properties.items():
        label = f"`{name}`" + (" (required)" if name in required else "")
        text = _cell(field.get("description", ""))
        lines.append(f"| {label} | {_type_text(field)} | {text} |")
    return lines


def _type_text(schema: _Document) -> str:
    """Return the type in words; a named schema is a link to its section."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{_anchor(name)})"
    for combination in ("oneOf", "anyOf", "allOf"):
        if combination in schema:
            return " or ".join(_type_text(part) for part in schema[combination])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("type") == "array":
        return f"array of {_type_text(schema.get('items', {}))}"
    kinds = schema.get("type", "any")
    text = " or ".join(kinds) if isinstance(kinds, list) else str(kinds)
    return f"{text} ({schema['format']})" if "format" in schema else text


def _resolve(document: _Document, value: _Document) -> _Document:
    if "$ref" not in value:
        return value
    found: Any = document
    for part in value["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return _resolve(document, found)


def _anchor(schema: str) -> str:
    return f"schema-{schema.lower()}"


def _cell(text: str) -> str:
    """Return the text on one line, fit for a table."""
    return " ".join(text.split()).replace("|", "\\|")
