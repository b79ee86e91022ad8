"""Parse JSON strictly, and reject values that DynamoDB, providers or readers cannot process."""

import json
import re
from functools import partial
from math import isfinite
from typing import Any

import pydantic_core

from runyard_service.domain.request_errors import InvalidRequestError

MAX_DEPTH = 64
# An empty array takes 2 bytes in a body, and 64 bytes in memory.
MAX_CONTAINERS = 100_000
# A larger integer has no float, which arithmetic and other readers of JSON need.
_MAX_INTEGER_BITS = 1023


def parse_json(text: bytes | bytearray | str, name: str, *, unique_names: bool = False) -> Any:
    """Parse JSON text. Raise InvalidRequestError under `name` if it is invalid.

    With `unique_names`, an object with the same name twice is invalid. Otherwise its last value
    counts.
    """
    _check_containers(text, name)
    try:
        # Not by json.loads: as a text, bytes take four times as much where one emoji is in them.
        value = pydantic_core.from_json(text, allow_inf_nan=False)
    except ValueError:
        value = _parse_leniently(text, name)
    reject_invalid_text(value, name)
    if unique_names:
        json.loads(text, object_pairs_hook=partial(_reject_duplicates, name))
    return value


_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


def _check_containers(text: bytes | bytearray | str, name: str) -> None:
    """Raise InvalidRequestError for too many objects and arrays, before they take memory."""
    body = text.encode(errors="replace") if isinstance(text, str) else text
    if _containers(body) > MAX_CONTAINERS and _containers(_STRING.sub(b"", body)) > MAX_CONTAINERS:
        raise InvalidRequestError({name: f"must have at most {MAX_CONTAINERS} objects and arrays"})


def _containers(body: bytes | bytearray) -> int:
    return body.count(b"[") + body.count(b"{")


def _reject_duplicates(field: str, pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise InvalidRequestError({field: f"has the name {name[:100]!r} twice in one object"})
        seen.add(name)


def _parse_leniently(text: bytes | bytearray | str, name: str) -> Any:
    """Parse what pydantic rejects: UTF-16, UTF-32, and input with a better message below."""
    try:
        return json.loads(text, parse_constant=_reject_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError({name: "is not valid JSON"}) from error


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def reject_invalid_text(value: Any, field: str, depth: int = 1) -> None:
    """Raise InvalidRequestError for values that DynamoDB, providers or readers cannot process."""
    if depth > MAX_DEPTH:
        raise InvalidRequestError({field: f"must be nested at most {MAX_DEPTH} deep"})
    if isinstance(value, dict):
        for name, inner in value.items():
            reject_invalid_text(name, field, depth)
            reject_invalid_text(inner, field, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            reject_invalid_text(inner, field, depth + 1)
    elif isinstance(value, int | float):
        if not _fits_float(value):
            raise InvalidRequestError({field: "has a number that is too large"})
    elif isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise InvalidRequestError({field: "contains an unpaired surrogate"}) from error


def _fits_float(number: float) -> bool:
    if isinstance(number, int):
        return number.bit_length() <= _MAX_INTEGER_BITS
    return isfinite(number)
