"""The Runs API's shapes: what comes in, with nothing unknown in it, and what goes out."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, ValidationInfo, field_validator

from runyard_service.adapters.dynamodb.files import MAX_FILE_BYTES
from runyard_service.api.bodies import Body, WholeNumber
from runyard_service.domain.content_types import clean_type
from runyard_service.domain.input_requests import Answer, InputRequest
from runyard_service.domain.runs import Run, shown_usage
from runyard_service.domain.threads import Message

MAX_FILES = 20


class CreateRun(Body):
    """`POST /v1/runs`."""

    input: Mapping[str, Any] = Field(default_factory=dict, validate_default=True)
    user_id: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    session_id: Annotated[UUID, Field(strict=False)] | None = None
    background: bool = False
    stream: bool = False
    file_ids: Annotated[tuple[str, ...], Field(max_length=MAX_FILES, strict=False)] = ()

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
    """`POST /v1/files` for a file that its owner uploads to S3; `size` is in bytes."""

    name: Annotated[str, Field(min_length=1, max_length=1024)]
    size: Annotated[WholeNumber, Field(ge=0, le=MAX_FILE_BYTES)]
    mime_type: Annotated[str, Field(min_length=1, max_length=255)]

    @field_validator("mime_type")
    @classmethod
    def _is_mime_type(cls, value: str) -> str:
        mime_type = clean_type(value)
        if mime_type is None:
            raise ValueError("must be a type like text/plain")
        return mime_type


class Feedback(Body):
    """The answer to a question."""

    request_id: str
    feedback: Any = None


class Approval(Body):
    """The answer to an approval request."""

    request_id: str
    is_approved: bool
    feedback: str | None = None
    params: Mapping[str, Any] | None = None


class FeedbackInput(Body):
    """`POST …/input` for a question."""

    type: Literal["human_feedback"]
    data: Feedback

    def answer(self) -> Answer:
        """The answer as the engine takes it."""
        return Answer(type=self.type, **self.data.model_dump())


class ApprovalInput(Body):
    """`POST …/input` for an approval request."""

    type: Literal["approval_request"]
    data: Approval

    def answer(self) -> Answer:
        """The answer as the engine takes it."""
        return Answer(type=self.type, **self.data.model_dump())


class RunInput(Body):
    """`POST /v1/runs/{run_id}/input`, before its type is known."""

    type: Literal["human_feedback", "approval_request"]
    data: Mapping[str, Any]


def run_view(
    run: Run, requests: Sequence[InputRequest] = (), message: Message | None = None
) -> dict[str, Any]:
    """The run as the API shows it; a field without a value is left out.

    `message` is the newest one of its thread that the run saw: what it was started to answer.
    """
    view: dict[str, Any] = {
        "id": run.id,
        "app_id": run.app_id,
        "status": "awaiting_input" if run.awaits_input else run.status,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "input": run.input if run.thread_id is None else _thread_input(run, message),
        "output": run.output,
        "user_id": run.user_id,
        "session_id": run.session_id,
        "input_requests": [request_view(request) for request in requests] or None,
        "error": run.error,
        "usage": _usage(run),
    }
    return {name: value for name, value in view.items() if value is not None}


def _thread_input(run: Run, message: Message | None) -> dict[str, Any]:
    shown: dict[str, Any] = {"thread_id": run.thread_id, "message_count": run.thread_messages}
    return shown if message is None else {**shown, "content": message.content}


def _usage(run: Run) -> dict[str, Any] | None:
    """The whole of it once the run has ended; so far, while the run waits for a person."""
    if run.ended_at is None and not run.awaits_input:
        return None
    return shown_usage(run.usage, run.started_at, run.ended_at)


def request_view(request: InputRequest) -> dict[str, Any]:
    """The question as the API shows it; when it expires and what then, if it ever does."""
    view: dict[str, Any] = {
        "id": request.id,
        "type": request.type,
        "prompt": request.prompt,
        "params": request.params,
        "editable_params": list(request.editable_params),
    }
    if request.expires_at is not None:
        view |= {"expires_at": request.expires_at, "on_expiry": request.on_expiry}
    return view
