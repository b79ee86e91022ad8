"""Read JSON bodies and query names strictly, and write JSON responses."""

from collections.abc import AsyncIterator, Collection
from typing import Annotated, Any, TypeVar

import pydantic_core
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationError,
    model_validator,
)
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from runyard_service.agents.definitions.known_fields import known_fields, known_names
from runyard_service.api.parse_json import parse_json
from runyard_service.domain.ids import parse_id
from runyard_service.domain.request_errors import (
    InvalidRequestError,
    PayloadTooLargeError,
    UnsupportedMediaTypeError,
)

# The limit of Lambda for one request. JSON is parsed in memory, so this limit always applies.
MAX_BODY_BYTES = 6 * 1024 * 1024
# The longest body of a route whose fields are short.
MAX_SHORT_BODY_BYTES = 64 * 1024
# The same for a route that accepts an answer of 128 KiB: JSON may escape a byte as six bytes.
MAX_ANSWER_BODY_BYTES = 1024 * 1024
MAX_BODY_FIELDS = 100
# Read this much of a body that is too large: a client that is disconnected while it sends may
# never read the response.
_MAX_DRAINED_BYTES = 256 * 1024 * 1024

_Model = TypeVar("_Model", bound=BaseModel)


class Body(BaseModel):
    """A request body: rejects unknown fields, and does not convert between types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: Any) -> Any:
        """Treat null as absent for each optional field."""
        if not isinstance(value, dict):
            return value
        optional = {name for name, field in cls.model_fields.items() if not field.is_required()}
        return {
            name: inner
            for name, inner in value.items()
            if inner is not None or name not in optional
        }


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _id(value: object) -> str:
    stored = parse_id(value) if isinstance(value, str) else None
    if stored is None:
        raise ValueError("must be a UUID")
    return stored


# An id in any form of a UUID. The value has the stored form.
Id = Annotated[str, BeforeValidator(_id)]


# 5.0 is an integer in JSON Schema, and JavaScript does not distinguish it from 5.
WholeNumber = Annotated[int, BeforeValidator(_whole)]


# Messages for the error types of pydantic.
_MESSAGES = {
    "missing": "is required",
    "string_type": "must be a string",
    "bool_type": "must be true or false",
    "int_type": "must be an integer",
    "int_from_float": "must be an integer",
    "dict_type": "must be an object",
    "mapping_type": "must be an object",
    "model_type": "must be an object",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
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
    max_bytes: int = MAX_SHORT_BODY_BYTES,
    *,
    optional: bool = False,
    media_types: str = "application/json",
    unique_names: bool = False,
) -> _Model:
    """Return the JSON body as `model`. If it is `optional`, an empty body counts as `{}`.

    `media_types` names what the route accepts, for the error. With `unique_names`, reject an object
    with the same name twice. Raise PayloadTooLargeError, UnsupportedMediaTypeError, or
    InvalidRequestError with all issues.
    """
    content_type = request.headers.get("content-type", "application/json").partition(";")[0].strip()
    if content_type.lower() != "application/json":
        raise UnsupportedMediaTypeError({"content-type": f"must be {media_types}"})
    check_encoding(request)
    body = await _read(request, min(max_bytes, MAX_BODY_BYTES))
    if optional and not body.strip():
        return validate({}, model)
    value = parse_json(body, "body", unique_names=unique_names)
    if not isinstance(value, dict):
        raise InvalidRequestError({"body": "must be a JSON object"})
    return validate(value, model)


def check_encoding(request: Request) -> None:
    """Raise UnsupportedMediaTypeError for a compressed body."""
    encodings = ",".join(request.headers.getlist("content-encoding")).split(",")
    if any(encoding.strip().lower() not in ("", "identity") for encoding in encodings):
        raise UnsupportedMediaTypeError({"content-encoding": "must be identity or absent"})


def validate(value: Any, model: type[_Model], known: Collection[str] = ()) -> _Model:
    """Return the value as `model`. Raise InvalidRequestError with each invalid field.

    `known` has the names for an unknown field if they are not those of the model.
    """
    if isinstance(value, dict) and len(value) > MAX_BODY_FIELDS:
        # pydantic collects an error with its input for every unknown field.
        raise InvalidRequestError({"body": f"must have at most {MAX_BODY_FIELDS} fields"})
    try:
        return model.model_validate(value)
    except ValidationError as error:
        details: dict[str, str] = {}
        for issue in error.errors(include_url=False):
            field = ".".join(map(str, issue["loc"])) or "body"
            message = _MESSAGES.get(issue["type"], "is not valid")
            if issue["type"] == "extra_forbidden":
                names = known or known_fields(model, issue["loc"])
                message = f"is not a known field{known_names(str(issue['loc'][-1]), names)}"
            elif context := issue.get("ctx"):
                message = message.format(**context)
            details.setdefault(field, message)
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


def unknown_names(
    query: QueryParams, known: Collection[str], repeatable: Collection[str] = ()
) -> dict[str, str]:
    """Return an issue for each unknown parameter and each repeated one that must not repeat."""
    issues: dict[str, str] = {}
    seen: set[str] = set()
    for name, _ in query.multi_items():
        if name not in known:
            issues[name] = f"is not a known parameter{known_names(name, known)}"
        elif name in seen and name not in repeatable:
            issues[name] = "must appear only once"
        seen.add(name)
    return issues


class JsonResponse(Response):
    """A JSON response, serialized by pydantic. NaN and infinity become null.

    Routes return it instead of a dict, because FastAPI creates a TypeAdapter for each route that
    returns a dict, at every cold start.
    """

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Return the content as JSON bytes."""
        return pydantic_core.to_json(content, inf_nan_mode="null")
