"""Request bodies: read with a bound, parsed strictly, checked, refused in our own words."""

import json
from math import isfinite
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from runyard.domain.errors import (
    InvalidRequestError,
    PayloadTooLargeError,
    UnsupportedMediaTypeError,
)

# What Lambda takes for one request.
MAX_BODY_BYTES = 6 * 1024 * 1024
MAX_DEPTH = 64

_Model = TypeVar("_Model", bound=BaseModel)

# Pydantic's kinds of fault, in words for the caller.
_WORDS = {
    "missing": "is required",
    "extra_forbidden": "is not a known field",
    "string_type": "must be a string",
    "bool_type": "must be true or false",
    "int_type": "must be an integer",
    "int_from_float": "must be an integer",
    "dict_type": "must be an object",
    "mapping_type": "must be an object",
    "model_type": "must be an object",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "uuid_parsing": "must be a UUID",
    "uuid_type": "must be a UUID",
    "string_too_short": "cannot be blank",
    "string_too_long": "must be at most {max_length} characters long",
    "too_long": "must have at most {max_length} items",
    "literal_error": "must be one of {expected}",
    "value_error": "{error}",
}


async def parsed_body(request: Request, model: type[_Model]) -> _Model:
    """The request's JSON object as `model`.

    Raises PayloadTooLargeError, UnsupportedMediaTypeError, or InvalidRequestError with each fault.
    """
    content_type = request.headers.get("content-type", "application/json").partition(";")[0].strip()
    if content_type.lower() != "application/json":
        raise UnsupportedMediaTypeError({"content-type": "must be application/json"})
    return validated(_parsed(await _read(request)), model)


def validated(value: Any, model: type[_Model]) -> _Model:
    """The value as `model`, else InvalidRequestError naming each field at fault."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        details: dict[str, str] = {}
        for fault in error.errors(include_url=False):
            place = ".".join(map(str, fault["loc"])) or "body"
            words = _WORDS.get(fault["type"], "is not valid")
            details.setdefault(place, words.format(**fault.get("ctx", {})))
        raise InvalidRequestError(details) from error


async def _read(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise PayloadTooLargeError({"body": f"must be at most {MAX_BODY_BYTES} bytes"})
    return bytes(body)


def _parsed(body: bytes) -> Any:
    try:
        value = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError({"body": "is not valid JSON"}) from error
    if not isinstance(value, dict):
        raise InvalidRequestError({"body": "must be a JSON object"})
    _check(value)
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _check(value: Any, depth: int = 1) -> None:
    """Refuse what no store, no model and no reader behind us could take."""
    if depth > MAX_DEPTH:
        raise InvalidRequestError({"body": f"must be nested at most {MAX_DEPTH} deep"})
    if isinstance(value, dict):
        for name, inner in value.items():
            _check(name, depth)
            _check(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _check(inner, depth + 1)
    elif isinstance(value, float):
        if not isfinite(value):
            raise InvalidRequestError({"body": "has a number that is too large"})
    elif isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise InvalidRequestError({"body": "has half of a surrogate pair"}) from error
