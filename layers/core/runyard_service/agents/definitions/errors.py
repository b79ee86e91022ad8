"""What is wrong with the agents' files, as their author is told it: file, line, field, fault."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic_core import ErrorDetails, PydanticCustomError

from runyard_service.domain.errors import DefinitionError

# One step on the way to a field: a name, or a place in a list.
Step = str | int

_MESSAGES = {"missing": "is required", "extra_forbidden": "is not a known field"}


@dataclass(frozen=True)
class DefinitionIssue:
    """One fault. Lines start at 1; 0 is for the file as a whole, and no file for all of them."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        """`support_triage.yaml, line 14: tools.0.url: is required`."""
        place = f"{self.file}, line {self.line}" if self.line else self.file
        return f"{place}: {self.text}" if place else self.text


def raise_if_any(faults: Iterable[DefinitionIssue]) -> None:
    """Raise one DefinitionError that lists all faults, one per line, by file and line."""
    in_order = sorted(faults, key=lambda fault: (not fault.file, fault.file, fault.line))
    if in_order:
        raise DefinitionError("\n".join(map(str, in_order)))


def issue_at(place: Sequence[Step], text: str) -> PydanticCustomError:
    """What a validator raises whose fault lies deeper than the field that it validates."""
    return PydanticCustomError("fault", "{text}", {"text": text, "place": tuple(place)})


class Positions(Protocol):
    """Where things stand in a file."""

    def find(self, steps: Sequence[Step]) -> tuple[int, tuple[Step, ...]]:
        """The line of the deepest thing on this way that is there, and the steps that led to it."""
        ...


@dataclass(frozen=True)
class _LocatedError:
    """A fault on its way to the author; a vague one only says that nothing fitted here."""

    line: int
    field: tuple[Step, ...]
    text: str
    is_vague: bool


def to_issues(
    errors: Iterable[ErrorDetails], file: str, places: Positions
) -> list[DefinitionIssue]:
    """pydantic's errors by line and field.

    A value that may be of several kinds is tried as each of them, and pydantic tells of every try.
    Where one of them came further than the others, only that one is what the author meant.
    """
    found = [_with_position(error, places) for error in errors]
    kept: dict[tuple[int, tuple[Step, ...], bool], list[str]] = {}
    for one in found:
        if one.is_vague and any(_is_deeper(other.field, one.field) for other in found):
            continue
        texts = kept.setdefault((one.line, one.field, one.is_vague), [])
        if one.text not in texts:
            texts.append(one.text)
    return [
        DefinitionIssue(
            file, line, ": ".join(filter(None, (".".join(map(str, field)), "; ".join(texts))))
        )
        for (line, field, _), texts in kept.items()
    ]


def _is_deeper(field: tuple[Step, ...], than: tuple[Step, ...]) -> bool:
    return len(field) > len(than) and field[: len(than)] == than


def _with_position(error: ErrorDetails, places: Positions) -> _LocatedError:
    kind, context = error["type"], error.get("ctx", {})
    steps = (*error["loc"], *_further_steps(context))
    line, field = places.find(steps)
    names_what_is_missing = kind in ("missing", "union_tag_not_found")
    if names_what_is_missing:
        field = (*field, steps[-1])
    # The last step is then no field: pydantic names the kind that it tried.
    is_try = not names_what_is_missing and field[-1:] != steps[-1:]
    text = _MESSAGES.get(kind, error["msg"]).removeprefix("Value error, ")
    # A list loses its faulty items before it is counted.
    return _LocatedError(line, field, text, is_vague=is_try or kind == "too_short")


def _further_steps(context: dict[str, Any]) -> tuple[Step, ...]:
    """What the error itself knows of its place: a validator's, or the field that tells the kind."""
    if "discriminator" in context:
        return (str(context["discriminator"]).strip("'"),)
    place: tuple[Step, ...] = context.get("place", ())
    return place
