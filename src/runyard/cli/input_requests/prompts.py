"""Ask a person on the terminal. Input requests and prompts go to standard error."""

import json
import shlex
import sys
from collections.abc import Mapping
from typing import Any

from runyard.cli.errors import note
from runyard.cli.input_requests.answers import (
    APPROVAL,
    DECLINED,
    Decision,
    Request,
    approval,
    denial,
    feedback,
    params_schema,
    parse_edits,
)
from runyard.cli.output.console import choose
from runyard.cli.output.escape import compact_json, escape, escape_lines
from runyard.cli.runs.typed_values import parse_value

_INDENT = "  "


def ask(request: Request, *, has_prompt: bool = True) -> Decision | None:
    """Show the request and return the person's decision; None if the person leaves it open.

    Without `has_prompt` the prompt is on the screen already.
    """
    show_request(request, has_prompt=has_prompt)
    if request["type"] == APPROVAL:
        return _ask_approval(request)
    form = request["params"].get("form")
    return _ask_form(form) if form else _ask_text(request["params"].get("choices") or [])


def show_request(request: Request, *, has_prompt: bool = True) -> None:
    """Print the whole input request: its prompt, and each param without an abbreviation."""
    if has_prompt:
        _show_prompt(request)
    if request["type"] == APPROVAL:
        for name, value in request["params"].items():
            editable = "  (editable)" if name in request["editable_params"] else ""
            note(f"{_INDENT}{escape(name)}  {compact_json(value)}{editable}")
    elif url := request["params"].get("url"):
        note(f"{_INDENT}open first: {url}")
    if expires_at := request.get("expires_at"):
        note(f"{_INDENT}expires at {expires_at}, then: {request.get('on_expiry')}")


def _show_prompt(request: Request) -> None:
    tool = request.get("tool") or {}
    symbol = choose(sys.stderr, "○", "o")
    # An indent: a prompt of several lines must not look like the params below it.
    prompt = request["prompt"].replace("\n", f"\n{_INDENT * 3}")
    note(f"{symbol} {' '.join(filter(None, [tool.get('name'), 'asks:']))} {prompt}")


def read_line(prompt: str) -> str | None:
    """Return a line that the person types, None at the end of the input."""
    prompt = escape(prompt)
    try:
        if sys.stdout.isatty() and sys.stdin.isatty():
            import readline  # noqa: F401  # `input` edits lines with it.

            return input(prompt).strip()
        sys.stderr.write(prompt)
        sys.stderr.flush()
        line = sys.stdin.readline()
    except EOFError:
        note("")
        return None
    except KeyboardInterrupt:
        note("")
        raise
    return line.strip() if line else None


def _ask_approval(request: Request) -> Decision | None:
    edit = " [e]dit" if request["editable_params"] else ""
    while True:
        line = read_line(f"{_INDENT}[a]pprove{edit} [r]efuse [l]eave > ")
        if line is None:
            return None
        letter, _, rest = line.partition(" ")
        if letter in ("l", "leave"):
            return None
        if letter in ("a", "approve") and not rest:
            return approval()
        if letter in ("r", "refuse"):
            return denial(rest.strip() or read_line(f"{_INDENT}reason (optional) > "))
        if letter in ("e", "edit") and edit:
            try:
                return approval(_read_edits(request, rest))
            except ValueError as error:
                note(f"{_INDENT}{error}")
        elif letter:
            note(f"{_INDENT}type a, r REASON or l" + (", or e NAME=VALUE" if edit else ""))


def _read_edits(request: Request, text: str) -> dict[str, Any]:
    """Return the params of `e NAME=VALUE …`; without any, ask for each editable one."""
    if text.strip():
        return parse_edits(request, shlex.split(text))
    schema = params_schema(request)
    edits = {}
    for name in request["editable_params"]:
        current = request["params"].get(name)
        line = read_line(f"{_INDENT}{name} ({compact_json(current)}) > ")
        if line:
            edits[name] = parse_value(name, line, schema["properties"].get(name, {}), schema)
    return edits


def _ask_text(choices: list[Any]) -> Decision | None:
    for number, choice in enumerate(choices, start=1):
        note(f"{_INDENT}{number}  {choice}")
    what = "number or text" if choices else "answer"
    while True:
        line = read_line(f"{_INDENT}{what} (empty: leave, /decline: no answer) > ")
        if not line:
            return None
        if line == "/decline":
            return DECLINED
        if not choices or line in choices:
            return feedback(line)
        if line.isascii() and line.isdigit() and 1 <= int(line) <= len(choices):
            return feedback(choices[int(line) - 1])
        note(f"{_INDENT}type one of the choices, or its number")


def _ask_form(form: Mapping[str, Any]) -> Decision | None:
    """Ask for each property of the form. A JSON object answers all of them at once."""
    note(f"{_INDENT}(empty: default or none, /leave, /decline, or the whole form as JSON)")
    values: dict[str, Any] = {}
    for name, schema in form.get("properties", {}).items():
        is_required = name in form.get("required", ())
        while True:
            line = read_line(f"{_INDENT}{_label(name, schema, is_required=is_required)} > ")
            if line is None or line == "/leave":
                return None
            if line == "/decline":
                return DECLINED
            try:
                if line.startswith("{") and not values:
                    return feedback(json.loads(line))
                if line:
                    values[name] = parse_value(name, line, schema, form)
                elif is_required and "default" not in schema:
                    raise ValueError(f"{name}: is required")
                elif "default" in schema:
                    values[name] = schema["default"]
            except ValueError as error:
                note(f"{_INDENT}{error}")
                continue
            break
    return feedback(values)


def _label(name: str, schema: Mapping[str, Any], *, is_required: bool) -> str:
    hints = [str(schema.get("title") or schema.get("description") or "")]
    if "enum" in schema:
        hints.append("one of " + ", ".join(map(str, schema["enum"])))
    if "default" in schema:
        hints.append(f"default {compact_json(schema['default'])}")
    if not is_required:
        hints.append("optional")
    text = "; ".join(filter(None, hints))
    return escape_lines(f"{name} ({text})" if text else name)
