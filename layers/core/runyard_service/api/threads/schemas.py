"""Request bodies of the Threads API."""

from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from runyard_service.agents.definitions.routes import ReasoningMode
from runyard_service.api.http import Body, Id, WholeNumber

MAX_TITLE_LENGTH = 500
MAX_NAME_LENGTH = 256
MAX_SEQUENCE = 999_999_999_999_999
MAX_INPUT_BYTES = 32 * 1024
# A message may be a pasted document. Content above the DynamoDB item limit is stored in S3.
MAX_MESSAGE_BYTES = 256 * 1024

Name = Annotated[str, Field(max_length=MAX_NAME_LENGTH)]
Title = Annotated[str, Field(max_length=MAX_TITLE_LENGTH)]


def _validate_content(value: str, max_bytes: int) -> str:
    if not value.strip():
        raise ValueError("cannot be blank")
    if len(value.encode()) > max_bytes:
        raise ValueError(f"content too large: at most {max_bytes} bytes of UTF-8")
    return value


class CreateThread(Body):
    """`POST /v1/threads`."""

    title: Title | None = None


class UpdateThread(Body):
    """`PATCH /v1/threads/{id}`. A null title removes the title."""

    title: Title | None


class CreateMessage(Body):
    """`POST /v1/threads/{id}/messages`."""

    content: str

    @field_validator("content")
    @classmethod
    def _check_content(cls, value: str) -> str:
        return _validate_content(value, MAX_MESSAGE_BYTES)


class CreateThreadRun(Body):
    """`POST /v1/threads/{id}/runs`. Empty or missing fields use the defaults of the service."""

    route_id: Name | None = None
    persona_id: Name | None = None
    model: Name | None = None
    reasoning_mode: ReasoningMode | None = None


class CancelRun(Body):
    """`POST /v1/runs/{id}:cancel`. The fields are stored in the cancel event."""

    last_seen_seq: Annotated[WholeNumber, Field(ge=0, le=MAX_SEQUENCE)] | None = None
    client_cancelled_at: Annotated[str, Field(max_length=64)] | None = None


class SubmitInput(Body):
    """`POST /v1/runs/{id}/input`. `request_id` selects among several open input requests.

    `declined` replaces `content`: the person does not answer.
    """

    declined: bool = False
    content: Annotated[str | None, Field(validate_default=True)] = None
    request_id: Id | None = None

    @field_validator("content")
    @classmethod
    def _check_content(cls, value: str | None, checked: ValidationInfo) -> str | None:
        declined = checked.data.get("declined", False)
        if value is None:
            if declined:
                return None
            raise ValueError("is required, unless declined is true")
        if declined:
            raise ValueError("cannot be combined with declined")
        return _validate_content(value, MAX_INPUT_BYTES)
