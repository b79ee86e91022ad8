"""Frozen dataclasses that are made from JSON; `raw` has the fields that they do not know."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Self, TypeVar

R = TypeVar("R", bound="Record")


@dataclass(frozen=True, kw_only=True)
class Record:
    """A JSON object of the service. `raw` has all of its fields, also unknown ones."""

    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Self:
        """Return the record of a JSON object. A field that is absent has its default, or None."""
        return cls(raw=raw, **values_of(cls, raw))


def source(key: str = "", parse: Callable[[Any], Any] | None = None) -> Mapping[str, Any]:
    """Return metadata of a field: its key in the JSON object, and what parses its value.

    `parse` never gets None.
    """
    return {"key": key, "parse": parse}


def list_of(record: type[R]) -> Callable[[Any], tuple[R, ...]]:
    """Return a function that makes a tuple of records from a JSON array."""
    return lambda values: tuple(record.parse(value) for value in values)


def values_of(record: type[Record], raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the record's fields in a JSON object, by the names of the fields."""
    values = {}
    for name, key, parse, default in _plan(record):
        value = raw.get(key)
        if value is None:
            value = default
        elif parse is not None:
            value = parse(value)
        values[name] = value
    return values


_Plan = tuple[tuple[str, str, Callable[[Any], Any] | None, Any], ...]
_plans: dict[type[Record], _Plan] = {}


def _plan(record: type[Record]) -> _Plan:
    """Return the name, the key, the parser and the default of each field, without `raw`."""
    if record not in _plans:
        _plans[record] = tuple(
            (
                each.name,
                each.metadata.get("key") or each.name,
                each.metadata.get("parse"),
                None if each.default is MISSING else each.default,
            )
            for each in fields(record)
            if each.name != "raw" and "of_event" not in each.metadata
        )
    return _plans[record]
