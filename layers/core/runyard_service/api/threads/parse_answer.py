"""Parse an answer from a single string, and submit it to the open input request.

For human feedback, the string is the answer; with a form, it is the answer as JSON. For an
approval, it is `approve`, `deny`, or a JSON object `{is_approved, feedback?, params?}`.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from runyard_service.api.http import Body, validate
from runyard_service.api.idempotency import RequestClaim
from runyard_service.api.parse_json import parse_json
from runyard_service.api.services import Services
from runyard_service.api.threads.schemas import SubmitInput
from runyard_service.application.input_requests.submit_input import submit_input
from runyard_service.domain.input_requests import Answer, InputRequest
from runyard_service.domain.request_errors import (
    ConflictError,
    InputAmbiguousError,
    InvalidRequestError,
    RunNotActiveError,
)
from runyard_service.domain.runs import Run

_DECISIONS = {"approve": True, "deny": False}
_APPROVAL_FORMAT = 'must be "approve", "deny", or a JSON object with is_approved'


class _Decision(Body):
    is_approved: bool
    feedback: str | None = None
    params: Mapping[str, Any] | None = Field(None, strict=False)


def answer_by_content(
    services: Services, run: Run, body: SubmitInput, answered_by: str, claim: RequestClaim
) -> None:
    """Answer the open input request of the run, or the one that `request_id` names.

    If none is open, the same answer as the newest one changes nothing.
    A retry with the same Idempotency-Key answers the same request, also if the run has asked again.
    Raise RunNotActiveError if no input request is open or it is closed, InputAmbiguousError if
    several are open, and InvalidRequestError for an invalid answer.
    """
    request = _request(services, run, body.request_id or claim.target)
    answer = _answer(request, body.content)
    if claim.bind(request.id) != request.id:
        raise ConflictError({"request_id": "is being answered by the same request; retry"})
    try:
        submit_input(services.stores, services.orchestrator, run.id, answer, answered_by)
    except ConflictError as error:
        raise RunNotActiveError(error.details) from error
    except InvalidRequestError as error:
        if "run" in error.details:  # The run has ended since it was read.
            raise RunNotActiveError(error.details) from error
        details = {_field(name): issue for name, issue in error.details.items()}
        raise InvalidRequestError(details) from error


def _request(services: Services, run: Run, request_id: str | None) -> InputRequest:
    requests = services.stores.input_requests
    if request_id is not None:
        request = requests.get(run.id, request_id)
        if request is None:
            raise InvalidRequestError({"request_id": "is not a request of this run"})
        return request
    waiting = requests.open_of_run(run.id) if run.awaits_input else []
    if not waiting:
        # The same answer again is valid: `submit_input` compares it with the recorded one.
        answered = [request for request in requests.of_run(run.id) if request.state == "answered"]
        if answered:
            return answered[-1]
        raise RunNotActiveError({"run": "has no open input request"})
    if len(waiting) > 1:
        ids = ", ".join(request.id for request in waiting)
        raise InputAmbiguousError({"request_id": f"must be one of: {ids}"})
    return waiting[0]


def _answer(request: InputRequest, content: str | None) -> Answer:
    if content is None:
        if request.type != "human_feedback":
            raise InvalidRequestError({"declined": f"is not allowed; content {_APPROVAL_FORMAT}"})
        return Answer(type=request.type, request_id=request.id, declined=True)
    if request.type == "human_feedback":
        feedback = (
            parse_json(content, "content", unique_names=True)
            if "form" in request.params
            else content
        )
        return Answer(type=request.type, request_id=request.id, feedback=feedback)
    decision = _DECISIONS.get(content.strip().casefold())
    if decision is not None:
        return Answer(type=request.type, request_id=request.id, is_approved=decision)
    if not content.lstrip().startswith("{"):
        raise InvalidRequestError({"content": _APPROVAL_FORMAT})
    parsed = _parse_decision(content)
    return Answer(type=request.type, request_id=request.id, **parsed.model_dump())


def _parse_decision(content: str) -> _Decision:
    try:
        return validate(parse_json(content, "content", unique_names=True), _Decision)
    except InvalidRequestError as error:
        details = {
            "content" if name in ("content", "body") else f"content.{name}": issue
            for name, issue in error.details.items()
        }
        raise InvalidRequestError(details) from error


def _field(name: str) -> str:
    """Return the field name for the caller, whose `content` contains all fields."""
    if name in ("request_id", "declined"):
        return name
    if name == "is_approved":
        return "content"
    # The fields of a form are in `feedback`, and for the caller in `content`.
    inner = name.removeprefix("feedback")
    return f"content{inner}" if inner != name else f"content.{name}"
