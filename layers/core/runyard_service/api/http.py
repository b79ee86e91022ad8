"""Read JSON bodies and query names strictly, and write JSON responses."""

import json
from collections.abc import AsyncIterator, Collection
from math import isfinite
from typing import Annotated, Any, TypeVar

import pydantic_core
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from runyard_service.domain.errors import (
    InvalidRequestError,
    PayloadTooLargeError,
    UnsupportedMediaTypeError,
)

# What Lambda takes for one request. JSON is held in memory, so it may never be larger.
MAX_BODY_BYTES = 6 * 1024 * 1024
MAX_DEPTH = 64
# So much of a body that is too large is still read: a client that is cut off while it sends may
# never see the answer.
_MAX_DRAINED_BYTES = 256 * 1024 * 1024

_Model = TypeVar("_Model", bound=BaseModel)


class Body(BaseModel):
    """A request's body: nothing unknown in it, and no value taken for one of another type."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


# To JSON, and to whoever writes numbers as JavaScript does, 5.0 is an integer.
WholeNumber = Annotated[int, BeforeValidator(_whole)]


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
    "less_than_equal": "must be at most {le}",
    "greater_than_equal": "must be at least {ge}",
    "literal_error": "must be one of {expected}",
    "value_error": "{error}",
}


async def parse_body(
    request: Request,
    model: type[_Model],
    max_bytes: int = MAX_BODY_BYTES,
    *,
    optional: bool = False,
) -> _Model:
    """The request's JSON object as `model`; where it is `optional`, no body is an empty one.

    Raises PayloadTooLargeError, UnsupportedMediaTypeError, or InvalidRequestError with each fault.
    """
    content_type = request.headers.get("content-type", "application/json").partition(";")[0].strip()
    if content_type.lower() != "application/json":
        raise UnsupportedMediaTypeError({"content-type": "must be application/json"})
    body = await _read(request, min(max_bytes, MAX_BODY_BYTES))
    if optional and not body.strip():
        return validate({}, model)
    value = parse_json(body, "body")
    if not isinstance(value, dict):
        raise InvalidRequestError({"body": "must be a JSON object"})
    return validate(value, model)


def validate(value: Any, model: type[_Model]) -> _Model:
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


async def _read(request: Request, max_bytes: int) -> bytes | bytearray:
    body = bytearray()
    chunks = request.stream()
    async for chunk in chunks:
        body += chunk
        if len(body) > max_bytes:
            await drain(chunks)
            raise PayloadTooLargeError({"body": f"must be at most {max_bytes} bytes"})
    return body


async def drain(chunks: AsyncIterator[bytes]) -> None:
    """Read the rest of a body, and forget it."""
    left = _MAX_DRAINED_BYTES
    async for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            return


def parse_json(text: bytes | bytearray | str, name: str) -> Any:
    """The value that a JSON text is; InvalidRequestError, under this name, where it is unsound."""
    try:
        # Not by json.loads: as a text, bytes take four times as much where one emoji is in them.
        value = pydantic_core.from_json(text, allow_inf_nan=False)
    except ValueError:
        value = _parse_leniently(text, name)
    reject_invalid_text(value, name)
    return value


def _parse_leniently(text: bytes | bytearray | str, name: str) -> Any:
    """What Python reads and pydantic does not: other UTFs, and what there are better words for."""
    try:
        return json.loads(text, parse_constant=_reject_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError({name: "is not valid JSON"}) from error


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def reject_invalid_text(value: Any, place: str, depth: int = 1) -> None:
    """Refuse what no store, no model and no reader behind us could take."""
    if depth > MAX_DEPTH:
        raise InvalidRequestError({place: f"must be nested at most {MAX_DEPTH} deep"})
    if isinstance(value, dict):
        for name, inner in value.items():
            reject_invalid_text(name, place, depth)
            reject_invalid_text(inner, place, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            reject_invalid_text(inner, place, depth + 1)
    elif isinstance(value, float):
        if not isfinite(value):
            raise InvalidRequestError({place: "has a number that is too large"})
    elif isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise InvalidRequestError({place: "contains an unpaired surrogate"}) from error


def unknown_names(
    query: QueryParams, known: Collection[str], repeatable: Collection[str] = ()
) -> dict[str, str]:
    """What is wrong with a query by the names of its parameters alone."""
    faults: dict[str, str] = {}
    seen: set[str] = set()
    for name, _ in query.multi_items():
        if name not in known:
            faults[name] = "is not a known parameter"
        elif name in seen and name not in repeatable:
            faults[name] = "must appear only once"
        seen.add(name)
    return faults


class JsonResponse(Response):
    """JSON, written by pydantic: as fast as it gets, and a number that JSON lacks is null.

    Routes make it themselves: for a route that returns a dict FastAPI makes an adapter, at every
    cold start and whether it is asked for or not.
    """

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The body."""
        return pydantic_core.to_json(content, inf_nan_mode="null")
