"""Errors in agent files, with file, line and field."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic_core import ErrorDetails, PydanticCustomError

from runyard_service.agents.definitions.known_fields import similar_name
from runyard_service.domain.errors import DefinitionError

# One step of the path to a field: a name, or a list index.
Step = str | int

_MESSAGES = {
    "missing": "is required",
    "string_type": "must be a text; write a number, true or false in quotes",
    "union_tag_not_found": "is required",
}


@dataclass(frozen=True)
class DefinitionIssue:
    """One error. Lines start at 1; 0 means the whole file, and an empty `file` all files."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        """Return text such as `support_triage.yaml, line 14: tools.0.url: is required`."""
        location = f"{self.file}, line {self.line}" if self.line else self.file
        return f"{location}: {self.text}" if location else self.text


def raise_if_any(issues: Iterable[DefinitionIssue]) -> None:
    """Raise one DefinitionError that lists all issues, one per line, by file and line."""
    in_order = sorted(issues, key=lambda issue: (not issue.file, issue.file, issue.line))
    if in_order:
        raise DefinitionError("\n".join(map(str, in_order)))


def issue_at(path: Sequence[Step], text: str) -> PydanticCustomError:
    """Return the error of a validator for a field at `path` below the validated field."""
    return PydanticCustomError("issue", "{text}", {"text": text, "path": tuple(path)})


class Positions(Protocol):
    """The lines of the fields of a file."""

    def find(self, steps: Sequence[Step]) -> tuple[int, tuple[Step, ...]]:
        """Return the line of the deepest field on the path that exists, and its path."""
        ...


@dataclass(frozen=True)
class _LocatedError:
    """An error with its position. A vague error only says that no alternative matches here."""

    line: int
    field: tuple[Step, ...]
    text: str
    is_vague: bool


def to_issues(
    errors: Iterable[ErrorDetails], file: str, positions: Positions
) -> list[DefinitionIssue]:
    """Return pydantic's errors grouped by line and field.

    For a union, pydantic reports the errors of every alternative. An alternative whose error is in
    a deeper field is the intended one: the vague errors above it are dropped.
    """
    located = [_with_position(error, positions) for error in errors]
    grouped: dict[tuple[int, tuple[Step, ...], bool], list[str]] = {}
    for found in located:
        if found.is_vague and any(_is_deeper(other.field, found.field) for other in located):
            continue
        texts = grouped.setdefault((found.line, found.field, found.is_vague), [])
        if found.text not in texts:
            texts.append(found.text)
    return [
        DefinitionIssue(
            file, line, ": ".join(filter(None, (".".join(map(str, field)), "; ".join(texts))))
        )
        for (line, field, _), texts in grouped.items()
    ]


def _is_deeper(field: tuple[Step, ...], than: tuple[Step, ...]) -> bool:
    return len(field) > len(than) and field[: len(than)] == than


def _with_position(error: ErrorDetails, positions: Positions) -> _LocatedError:
    kind, context = error["type"], error.get("ctx", {})
    steps = (*error["loc"], *_further_steps(context))
    line, field = positions.find(steps)
    names_what_is_missing = kind in ("missing", "union_tag_not_found")
    if names_what_is_missing:
        field = (*field, steps[-1])
    # The last step is then no field: pydantic names the alternative that it tried.
    is_try = not names_what_is_missing and field[-1:] != steps[-1:]
    text = _MESSAGES.get(kind, error["msg"]).removeprefix("Value error, ")
    if kind == "union_tag_invalid":
        known = str(context["expected_tags"])
        hint = similar_name(str(context["tag"]), known.replace("'", "").split(", "))
        text = f"must be one of {known}{hint}"
    # pydantic drops invalid items from a list before it counts them.
    return _LocatedError(line, field, text, is_vague=is_try or kind == "too_short")


def _further_steps(context: dict[str, Any]) -> tuple[Step, ...]:
    """Return the path in the error itself: that of `issue_at`, or the discriminator field."""
    if "discriminator" in context:
        return (str(context["discriminator"]).strip("'"),)
    path: tuple[Step, ...] = context.get("path", ())
    return path
