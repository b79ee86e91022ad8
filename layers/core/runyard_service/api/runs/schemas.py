"""Request bodies of the Runs API."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from runyard_service.adapters.dynamodb.access_keys import MAX_NAME_LENGTH, Scope
from runyard_service.adapters.dynamodb.files import MAX_FILE_BYTES
from runyard_service.api.http import Body, Id, WholeNumber
from runyard_service.application.webhooks.webhook_urls import MAX_URL_LENGTH
from runyard_service.domain.content_types import parse_mime_type
from runyard_service.domain.input_requests import Answer
from runyard_service.domain.webhooks import EVERYTHING, is_pattern

MAX_FILES = 20
MAX_EVENTS = 20
MAX_OVERLAP_HOURS = 168
MAX_KEY_DAYS = 36_500


class CreateRun(Body):
    """`POST /v1/runs`."""

    input: Mapping[str, Any] = Field(default_factory=dict, validate_default=True)
    agent: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    user_id: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    session_id: Id | None = None
    background: bool = False
    stream: bool = False
    file_ids: Annotated[tuple[Id, ...], Field(max_length=MAX_FILES, strict=False)] = ()

    @field_validator("input")
    @classmethod
    def _is_not_blank(cls, value: Mapping[str, Any]) -> Mapping[str, Any]:
        if not value:
            raise ValueError("cannot be blank")
        return value

    @field_validator("stream")
    @classmethod
    def _one_mode(cls, stream: bool, checked: ValidationInfo) -> bool:
        if stream and checked.data.get("background"):
            raise ValueError("cannot be true together with background")
        return stream


class CreateFile(Body):
    """`POST /v1/files` for an upload to S3. `size` is in bytes."""

    name: Annotated[str, Field(min_length=1, max_length=1024)]
    size: Annotated[WholeNumber, Field(ge=0, le=MAX_FILE_BYTES)]
    mime_type: Annotated[str, Field(min_length=1, max_length=255)]

    @field_validator("mime_type")
    @classmethod
    def _is_mime_type(cls, value: str) -> str:
        mime_type = parse_mime_type(value)
        if mime_type is None:
            raise ValueError("must be a media type, such as text/plain")
        return mime_type


class Feedback(Body):
    """The answer to a request for human feedback."""

    request_id: Id
    feedback: Any = None
    declined: bool = False

    @field_validator("declined")
    @classmethod
    def _is_no_answer(cls, declined: bool, checked: ValidationInfo) -> bool:
        if declined and checked.data.get("feedback") is not None:
            raise ValueError("cannot be combined with feedback")
        return declined


class Approval(Body):
    """The answer to an approval request."""

    request_id: Id
    is_approved: bool
    feedback: str | None = None
    params: Mapping[str, Any] | None = None


class FeedbackInput(Body):
    """`POST …/input` for a request for human feedback."""

    type: Literal["human_feedback"]
    data: Feedback

    def answer(self) -> Answer:
        """Return the answer as `submit_input` expects it."""
        data = self.data
        return Answer(
            type=self.type,
            request_id=data.request_id,
            feedback=data.feedback,
            declined=data.declined or None,
        )


class ApprovalInput(Body):
    """`POST …/input` for an approval request."""

    type: Literal["approval_request"]
    data: Approval

    def answer(self) -> Answer:
        """Return the answer as `submit_input` expects it."""
        return Answer(type=self.type, **self.data.model_dump())


class RunInput(Body):
    """`POST /v1/runs/{run_id}/input`, with `data` not yet validated."""

    type: Literal["human_feedback", "approval_request"]
    data: Mapping[str, Any]


def _known_patterns(events: tuple[str, ...]) -> tuple[str, ...]:
    if not events:
        raise ValueError("cannot be empty")
    for pattern in events:
        if not is_pattern(pattern):
            raise ValueError(
                "must contain event types or patterns, such as run.completed, run.* or *"
            )
    return tuple(dict.fromkeys(events))


def _has_valid_start(url: str) -> str:
    # Lower case only: other software may read a scheme in capitals differently.
    if not url.startswith(("https://", "http://")):
        raise ValueError("must start with https://")
    return url


Url = Annotated[str, Field(max_length=MAX_URL_LENGTH), AfterValidator(_has_valid_start)]
Events = Annotated[
    tuple[str, ...],
    Field(max_length=MAX_EVENTS, strict=False),
    AfterValidator(_known_patterns),
]
Description = Annotated[str, Field(max_length=256)]


class CreateWebhook(Body):
    """`POST /v1/webhooks`."""

    url: Url
    events: Events = (EVERYTHING,)
    description: Description = ""
    enabled: bool = True


class ChangeWebhook(Body):
    """`PATCH /v1/webhooks/{webhook_id}`. Only fields in the body change; defaults are unused."""

    url: Url = ""
    events: Events = ()
    description: Description = ""
    enabled: bool = True


class RotateSecret(Body):
    """`POST …/rotate-secret`: for how many hours old secrets also sign deliveries."""

    overlap_hours: Annotated[WholeNumber, Field(ge=0, le=MAX_OVERLAP_HOURS)] = 24


def _fits_header(text: str) -> str:
    if text != text.strip() or not text.isascii() or not text.isprintable():
        raise ValueError("must be printable ASCII, without spaces around it")
    return text


Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME_LENGTH), AfterValidator(_fits_header)]
PersonText = Annotated[str, Field(min_length=1, max_length=MAX_NAME_LENGTH)]


def _is_not_empty(scopes: tuple[Scope, ...]) -> tuple[Scope, ...]:
    if not scopes:
        raise ValueError("cannot be empty")
    return scopes


Scopes = Annotated[tuple[Scope, ...], Field(strict=False), AfterValidator(_is_not_empty)]


class CreateKey(Body):
    """`POST /v1/keys`."""

    project_id: Name = ""
    scopes: Scopes | None = None
    agent: PersonText | None = None
    user_id: Name | None = None
    user_name: PersonText | None = None
    user_email: PersonText | None = None
    days: Annotated[WholeNumber, Field(ge=1, le=MAX_KEY_DAYS)] | None = None

    @property
    def scope_set(self) -> frozenset[Scope] | None:
        """Return the scopes without repetition."""
        return None if self.scopes is None else frozenset(self.scopes)
