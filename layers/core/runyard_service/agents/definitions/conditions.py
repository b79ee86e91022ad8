"""Conditions on plain data: when a tool call needs approval, and which scripted turn is played.

A condition maps dotted paths to what must stand there; all of them must hold. A path that leads
nowhere gives null. Texts are compared without regard to case.

    {"amount": {"above": 100}, "reason": {"contains": "refund"}}
"""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator

Scalar = str | int | float | bool | None


class Test(BaseModel):
    """What must be true of one value; several fields must all hold."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
    __test__ = False  # Not a test case, whatever a test runner may think of the name.

    equals: Scalar = None
    one_of: tuple[Scalar, ...] | None = None
    contains: str | None = None
    matches: str | None = None
    above: float | None = None
    below: float | None = None
    exists: bool | None = None

    @field_validator("matches")
    @classmethod
    def _is_pattern(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"is not a regular expression: {error.msg}") from error
        return pattern

    def holds(self, value: Any) -> bool:
        """Whether every field that was written holds for `value`."""
        return all(self._field_holds(name, value) for name in self.model_fields_set)

    def _field_holds(self, name: str, value: Any) -> bool:
        wanted = getattr(self, name)
        match name:
            case "equals":
                return _same(value, wanted)
            case "one_of":
                return any(_same(value, item) for item in wanted or ())
            case "contains":
                return value is not None and str(wanted).casefold() in _text(value)
            case "matches":
                return value is not None and bool(re.search(wanted, _text(value), re.IGNORECASE))
            case "above":
                return _is_number(value) and value > wanted
            case "below":
                return _is_number(value) and value < wanted
            case _:
                return (value is not None) is wanted


Condition = Mapping[str, Test | Scalar]


def holds(condition: Condition, data: Any) -> bool:
    """Whether every path of `condition` leads to what it asks for in `data`."""
    return all(
        test.holds(look_up(data, path))
        if isinstance(test, Test)
        else _same(look_up(data, path), test)
        for path, test in condition.items()
    )


def look_up(data: Any, path: str) -> Any:
    """What stands at a dotted path through mappings and lists, or None."""
    for part in path.split("."):
        if isinstance(data, Mapping):
            data = data.get(part)
        elif isinstance(data, list) and part.isdigit() and int(part) < len(data):
            data = data[int(part)]
        else:
            return None
    return data


_PLACEHOLDER = re.compile(r"\{\{\s*([\w.-]+)\s*\}\}")


def fill(template: Any, data: Any) -> Any:
    """Replace `{{ path }}` in every text of `template` by what stands there in `data`.

    A text that is one placeholder and nothing else becomes the value itself, whatever its type.
    """
    if isinstance(template, str):
        whole = _PLACEHOLDER.fullmatch(template)
        if whole:
            return look_up(data, whole[1])
        return _PLACEHOLDER.sub(lambda found: _shown(look_up(data, found[1])), template)
    if isinstance(template, Mapping):
        return {key: fill(value, data) for key, value in template.items()}
    if isinstance(template, list | tuple):
        return [fill(value, data) for value in template]
    return template


def _shown(value: Any) -> str:
    return "" if value is None else str(value)


def _text(value: Any) -> str:
    return str(value).casefold()


def _same(value: Any, wanted: Scalar) -> bool:
    if isinstance(value, str) and isinstance(wanted, str):
        return value.casefold() == wanted.casefold()
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    return bool(value == wanted)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
