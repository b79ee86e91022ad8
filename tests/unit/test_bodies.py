"""Request bodies: both parsers read them as json.loads does."""

import json
import tracemalloc
from math import isfinite
from typing import Any

import pytest

from runyard_service.api.http import validate
from runyard_service.api.parse_json import MAX_CONTAINERS, parse_json
from runyard_service.api.runs.schemas import CreateRun
from runyard_service.domain.request_errors import InvalidRequestError


@pytest.mark.parametrize(
    "text",
    [
        b"0.30000000000000004",
        b"2.2250738585072011e-308",
        b"9007199254740993.0",
        b"123456789012345678901234567890",
        b"-0.0",
        b'{"a": 1, "b": 2, "a": 3}',
        b'"\\ud83d\\udc4b \\u0000 \\/"',
        "\N{WAVING HAND SIGN}".join('""').encode(),
        b"\xef\xbb\xbf{}",
        '{"a": [1]}'.encode("utf-16"),
        b"[" * 60 + b"]" * 60,
    ],
)
def test_valid_json_is_read_as_python_reads_it(text: bytes) -> None:
    assert repr(parse_json(text, "body")) == repr(json.loads(text))


def error_in(text: bytes) -> Any:
    with pytest.raises(InvalidRequestError) as rejected:
        parse_json(text, "body")
    return rejected.value.details["body"]


@pytest.mark.parametrize(
    "text", [b"", b"[1,]", b"NaN", b"-Infinity", b"01", b'"\xff"', b"1" * 4301, b"[" * 100_000]
)
def test_invalid_json_is_rejected(text: bytes) -> None:
    assert error_in(text) == "is not valid JSON"


def test_valid_json_that_the_service_cannot_store_is_rejected() -> None:
    assert error_in(b'"\\ud800"') == "contains an unpaired surrogate"
    assert error_in(b"[" * 70 + b"]" * 70) == "must be nested at most 64 deep"
    assert error_in(b"[" * 500 + b"]" * 500) == "must be nested at most 64 deep"
    assert not isfinite(json.loads("1e999"))
    assert error_in(b"1e999") == "has a number that is too large"
    assert error_in(b"[1%b]" % (b"0" * 400)) == "has a number that is too large"
    assert error_in(b"-1%b" % (b"0" * 400)) == "has a number that is too large"


def test_a_body_with_many_unknown_fields_is_rejected_as_a_whole() -> None:
    with pytest.raises(InvalidRequestError) as rejected:
        validate({f"field_{n}": n for n in range(101)}, CreateRun)
    assert rejected.value.details == {"body": "must have at most 100 fields"}


def test_an_answer_cannot_have_the_same_name_twice() -> None:
    text = b'{"a": 1, "b": [{"x": 1, "x": 2}]}'
    assert parse_json(text, "body") == {"a": 1, "b": [{"x": 2}]}
    with pytest.raises(InvalidRequestError) as rejected:
        parse_json(text, "body", unique_names=True)
    assert rejected.value.details == {"body": "has the name 'x' twice in one object"}
    same = b'{"a": {"x": 1}, "b": {"x": 1}}'
    assert parse_json(same, "body", unique_names=True) == json.loads(same)


def test_two_million_arrays_take_no_memory() -> None:
    """Parsed, they would take more than 120 MB: 20 times their size."""
    body = b"[[]" + b",[]" * 2_000_000 + b"]"
    tracemalloc.start()
    with pytest.raises(InvalidRequestError):
        parse_json(body, "body")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * len(body)


def test_the_number_of_objects_and_arrays_is_limited() -> None:
    """Each takes at least 56 bytes of memory, and 2 bytes of a body."""
    most = json.dumps([[]] * (MAX_CONTAINERS - 1)).encode()
    assert len(parse_json(most, "body")) == MAX_CONTAINERS - 1
    issue = f"must have at most {MAX_CONTAINERS} objects and arrays"
    assert error_in(json.dumps([{}] * MAX_CONTAINERS).encode()) == issue
    # Brackets in a string are text.
    text = json.dumps(['[{\\"' * MAX_CONTAINERS])
    assert parse_json(text, "body") == json.loads(text)
