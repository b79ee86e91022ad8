"""JSON values: their canonical form, their digest, and what cannot be recorded."""

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

MAX_RESULT_BYTES = 256 * 1024
# How many levels a value may have. Python's JSON encoder stops near 1,000.
_MAX_DEPTH = 200
_SCALARS = frozenset({type(None), str, bool, int})


def canonical_json(value: Any) -> bytes:
    """Return the value as JSON in UTF-8, with sorted keys and no spaces.

    Raise TypeError for a value that JSON cannot represent, with its path in `value`.
    """
    if (problem := _problem(value, "")) is not None:
        raise TypeError(problem)
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


def digest_of(name: str, arguments: Any) -> str:
    """Return the SHA-256 of a name and its arguments, in hexadecimal."""
    return hashlib.sha256(canonical_json([name, arguments])).hexdigest()


def to_result(value: Any, owner: str) -> Any:
    """Return `value` as the journal would return it later: tuples become lists.

    `owner` names the operation in the error. Raise TypeError for a value that is not JSON,
    ValueError for more than 256 KB.
    """
    try:
        encoded = canonical_json(value)
    except TypeError as error:
        raise TypeError(
            f"{owner} returned a value that is not JSON: {error}. Return texts, numbers, lists and "
            "objects with texts as keys."
        ) from None
    if len(encoded) > MAX_RESULT_BYTES:
        raise ValueError(
            f"{owner} returned {len(encoded):,} bytes; at most {MAX_RESULT_BYTES:,} can be "
            "recorded. Store the value elsewhere, and return its address."
        )
    return json.loads(encoded)


def _problem(value: Any, path: str, depth: int = 0) -> str | None:
    """Return what is not JSON in `value`; None if all of it is."""
    if type(value) in _SCALARS:
        return None
    where = f" at {path}" if path else ""
    if depth > _MAX_DEPTH:
        return f"more than {_MAX_DEPTH} levels"
    match value:
        case str() | int():
            return None
        case float():
            return None if math.isfinite(value) else f"{value!r}{where} is not a number of JSON"
        case Mapping():
            return _problem_of_mapping(value, path, depth)
        case list() | tuple():
            for index, item in enumerate(value):
                # Most items are scalars, and need no path.
                if type(item) in _SCALARS:
                    continue
                if (problem := _problem(item, f"{path}[{index}]", depth + 1)) is not None:
                    return problem
            return None
    return f"a value of type {type(value).__name__}{where}"


def _problem_of_mapping(value: Mapping[Any, Any], path: str, depth: int) -> str | None:
    for key, item in value.items():
        if not isinstance(key, str):
            where = f" at {path}" if path else ""
            return f"the key {key!r}{where} is not a string"
        if type(item) in _SCALARS:
            continue
        inner = f"{path}.{key}" if path else key
        if (problem := _problem(item, inner, depth + 1)) is not None:
            return problem
    return None
