"""Conditions on plain data. They select tool calls for approval and the turns of scripts.

A condition maps dotted paths to the required value; all of them must hold. A path that does
not exist has the value null. Text comparison ignores case, and the form in which Unicode writes
a character (NFKC). A comparison with null, or with a
value of another type, cannot be evaluated: an approval rule then asks a person, and a scripted turn
is not played. Only `exists` and a comparison with null itself can always be evaluated.

    {"amount": {"above": 100}, "reason": {"contains": "refund"}}
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import jsonschema_rs
from pydantic import BaseModel, ConfigDict, field_validator

# The compiled size of a pattern.
_PATTERN_BYTES = 1024 * 1024

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
            _pattern(pattern)
        except jsonschema_rs.ValidationError as error:
            raise ValueError(
                "is not a regular expression, or too large; look-around (such as `(?=`) and"
                " back-references (such as `\\1`) are not supported"
            ) from error
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
                return None if value is None else _folded(expected) in _text(value)
            case "matches":
                if value is None:
                    return None
                return bool(_pattern(expected).is_valid(_normalized(_format(value))))
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
    found = _find(data, path)
    return None if found is _MISSING else found


def _find(data: Any, path: str) -> Any:
    for part in path.split("."):
        if isinstance(data, Mapping):
            data = data.get(part, _MISSING)
        elif isinstance(data, list) and part.isdigit() and int(part) < len(data):
            data = data[int(part)]
        else:
            return _MISSING
    return data


_MISSING = object()
PLACEHOLDER = re.compile(r"\{\{\s*([\w.-]+)\s*\}\}")


def fill(template: Any, data: Any) -> Any:
    """Replace `{{ path }}` in every text of `template` by the value at that path in `data`.

    A text that is one placeholder and nothing else becomes the value itself, whatever its type.
    """
    if isinstance(template, str):
        whole = PLACEHOLDER.fullmatch(template)
        if whole:
            return look_up(data, whole[1])
        return fill_text(template, data)
    if isinstance(template, Mapping):
        return {key: fill(value, data) for key, value in template.items()}
    if isinstance(template, list | tuple):
        return [fill(value, data) for value in template]
    return template


def fill_text(template: str, data: Any) -> str:
    """Return `template` as text, with the value at each `{{ path }}` in it.

    A string is inserted unchanged, any other value as JSON. A path that does not exist is empty.
    """
    return PLACEHOLDER.sub(lambda match: _format(_find(data, match[1])), template)


def can_fill(template: str, data: Any) -> bool:
    """Return whether `data` has a value other than null and a blank text at each `{{ path }}`."""
    values = [look_up(data, path) for path in PLACEHOLDER.findall(template)]
    return all(value is not None and _format(value).strip() for value in values)


def _format(value: Any) -> str:
    if value is _MISSING:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _text(value: Any) -> str:
    return _folded(_format(value))


def _folded(text: str) -> str:
    """Return the text without differences of case and of Unicode's compatible characters."""
    return _normalized(_normalized(text).casefold())


def _normalized(text: str) -> str:
    return unicodedata.normalize("NFKC", text)


@lru_cache(maxsize=256)
def _pattern(pattern: str) -> Any:
    """Return a validator of texts that contain the pattern, in any case.

    Its engine needs time proportional to the text, for every pattern (ADR 34). Python's engine
    would need exponential time for some. Raise jsonschema_rs.ValidationError if it is invalid.
    """
    # A full-width parenthesis, for example, stays a character of the text.
    normalized = "".join(
        character if _normalized(character) == character else re.escape(_normalized(character))
        for character in unicodedata.normalize("NFC", pattern)
    )
    options = jsonschema_rs.RegexOptions(size_limit=_PATTERN_BYTES)
    return jsonschema_rs.validator_for(
        {"pattern": f"(?i:{normalized})"}, offline=True, pattern_options=options
    )


def _equals(value: Any, expected: Scalar) -> bool | None:
    """Return whether the two are equal; None if `value` is missing or of another type."""
    if expected is None:
        return value is None
    if isinstance(value, str) and isinstance(expected, str):
        return _folded(value) == _folded(expected)
    if isinstance(value, bool) and isinstance(expected, bool):
        return value is expected
    if _is_number(value) and _is_number(expected):
        return bool(value == expected)
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
