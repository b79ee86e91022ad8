"""Conditions on plain data. They select tool calls for approval and the turns of scripts.

A condition maps dotted paths to the required value; all of them must hold. A path that does
not exist has the value null. Text comparison ignores case. A comparison with null, or with a
value of another type, cannot be evaluated: an approval rule then asks a person, and a scripted turn
is not played. Only `exists` and a comparison with null itself can always be evaluated.

    {"amount": {"above": 100}, "reason": {"contains": "refund"}}
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator

Scalar = str | int | float | bool | None


class Test(BaseModel):
    """Requirements for one value; every field that is set must hold."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, allow_inf_nan=False)
    __test__ = False  # Not a test case: pytest collects classes named Test.

    equals: Scalar = None
    one_of: tuple[Scalar, ...] | None = None
    contains: str | None = None
    matches: str | None = None
    above: float | None = None
    below: float | None = None
    exists: bool | None = None

    @field_validator("one_of", "contains", "matches", "above", "below", "exists", mode="before")
    @classmethod
    def _is_written(cls, expected: Any) -> Any:
        if expected is None:
            raise ValueError("must not be null")
        return expected

    @field_validator("matches")
    @classmethod
    def _is_pattern(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"is not a regular expression: {error.msg}") from error
        return pattern

    def evaluate(self, value: Any) -> bool | None:
        """Return whether every field that the file sets holds for `value`.

        Return None if that cannot be evaluated: `value` is missing, or of the wrong type.
        """
        return _all_of(self._evaluate_field(name, value) for name in self.model_fields_set)

    def _evaluate_field(self, name: str, value: Any) -> bool | None:
        expected = getattr(self, name)
        match name:
            case "equals":
                return _equals(value, expected)
            case "one_of":
                return _any_of(_equals(value, item) for item in expected)
            case "exists":
                return (value is not None) is expected
            case "contains":
                return None if value is None else expected.casefold() in _text(value)
            case "matches":
                if value is None:
                    return None
                return bool(re.search(expected, _text(value), re.IGNORECASE))
            case "above":
                return bool(value > expected) if _is_number(value) else None
            case _:
                return bool(value < expected) if _is_number(value) else None


Condition = Mapping[str, Test | Scalar]


def holds(condition: Condition, data: Any) -> bool:
    """Return whether `condition` holds for `data`; what cannot be evaluated does not hold."""
    return _evaluate(condition, data) is True


def may_hold(condition: Condition, data: Any) -> bool:
    """Return whether `condition` holds for `data`, or cannot be evaluated.

    An approval rule uses this: what cannot be evaluated is for a person to decide.
    """
    return _evaluate(condition, data) is not False


def _evaluate(condition: Condition, data: Any) -> bool | None:
    return _all_of(
        test.evaluate(look_up(data, path))
        if isinstance(test, Test)
        else _equals(look_up(data, path), test)
        for path, test in condition.items()
    )


def _all_of(results: Iterable[bool | None]) -> bool | None:
    """Return False if any result is False, else None if any is unknown, else True."""
    values = set(results)
    if False in values:
        return False
    return None if None in values else True


def _any_of(results: Iterable[bool | None]) -> bool | None:
    """Return True if any result is True, else None if any is unknown, else False."""
    values = set(results)
    if True in values:
        return True
    return None if None in values else False


def look_up(data: Any, path: str) -> Any:
    """Return the value at a dotted path through mappings and lists, or None."""
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
    """Replace `{{ path }}` in every text of `template` by the value at that path in `data`.

    A text that is one placeholder and nothing else becomes the value itself, whatever its type.
    """
    if isinstance(template, str):
        whole = _PLACEHOLDER.fullmatch(template)
        if whole:
            return look_up(data, whole[1])
        return _PLACEHOLDER.sub(lambda match: _format(look_up(data, match[1])), template)
    if isinstance(template, Mapping):
        return {key: fill(value, data) for key, value in template.items()}
    if isinstance(template, list | tuple):
        return [fill(value, data) for value in template]
    return template


def _format(value: Any) -> str:
    return "" if value is None else str(value)


def _text(value: Any) -> str:
    return str(value).casefold()


def _equals(value: Any, expected: Scalar) -> bool | None:
    """Return whether the two are equal; None if `value` is missing or of another type."""
    if expected is None:
        return value is None
    if isinstance(value, str) and isinstance(expected, str):
        return value.casefold() == expected.casefold()
    if isinstance(value, bool) and isinstance(expected, bool):
        return value is expected
    if _is_number(value) and _is_number(expected):
        return bool(value == expected)
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
