"""Render template.yaml and settings.py as tables, without importing either."""

import ast
from collections.abc import Iterable, Mapping
from typing import Any

import yaml


class _TemplateLoader(yaml.SafeLoader):
    """Reads CloudFormation's short forms (`!Ref`, `!Sub`, …) as their text."""


def _as_text(loader: yaml.SafeLoader, _: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]


_TemplateLoader.add_multi_constructor("!", _as_text)


def render_parameters(template: str) -> str:
    """Return a table of the template's parameters with their defaults."""
    parameters = _section(template, "Parameters")
    rows = ((name, _code(field.get("Default")), field) for name, field in parameters.items())
    return _table(
        ("Parameter", "Default", "Description"),
        ((f"`{name}`", default, _described(field)) for name, default, field in rows),
    )


def _described(field: Mapping[str, Any]) -> str:
    text = str(field.get("Description", ""))
    if values := field.get("AllowedValues"):
        text += f" One of: {', '.join(_code(value) for value in values)}."
    return text


def render_outputs(template: str) -> str:
    """Return a table of the template's outputs."""
    outputs = _section(template, "Outputs")
    rows = ((f"`{name}`", str(field["Description"])) for name, field in outputs.items())
    return _table(("Output", "Description"), rows)


def render_settings(module: str) -> str:
    """Return a table of the fields of the class `Settings` in this Python source."""
    classes = (node for node in ast.parse(module).body if isinstance(node, ast.ClassDef))
    settings = next(found for found in classes if found.name == "Settings")
    fields = (node for node in settings.body if isinstance(node, ast.AnnAssign))
    return _table(("Variable", "Default", "Description"), map(_setting_row, fields))


def _setting_row(field: ast.AnnAssign) -> tuple[str, ...]:
    assert isinstance(field.target, ast.Name)
    default, description = field.value, ""
    if isinstance(default, ast.Call):
        for keyword in default.keywords:
            if keyword.arg == "description":
                description = ast.literal_eval(keyword.value)
        default = default.args[0] if default.args else None
    text = "" if default is None else ast.unparse(default).replace("'", "")
    text = text.removeprefix("Decimal(").removesuffix(")") if "Decimal" in text else text
    return f"`{field.target.id.upper()}`", _code(text.strip("()")), description


def _section(template: str, name: str) -> Mapping[str, Any]:
    section: Mapping[str, Any] = yaml.load(template, _TemplateLoader)[name]
    return section


def _code(value: Any) -> str:
    return "-" if value in (None, "") else f"`{value}`"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = tuple(head)
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(' '.join(cell.split()) for cell in row)} |" for row in lines)
