"""An answer given as one text: which question it is for, and what it says.

A question takes the text as it is, one with a form the object that the text is as JSON. An approval
takes the words `approve` and `deny`, or a JSON object `{is_approved, feedback?, params?}`.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from runyard_service.api.http import Body, parse_json, validate
from runyard_service.api.services import Services
from runyard_service.api.threads.schemas import SubmitInput
from runyard_service.application.input_requests.submit_input import submit_input
from runyard_service.domain.errors import (
    ConflictError,
    InputAmbiguousError,
    InvalidRequestError,
    RunNotActiveError,
)
from runyard_service.domain.input_requests import Answer, InputRequest
from runyard_service.domain.runs import Run

_DECISIONS = {"approve": True, "deny": False}
_HOW = 'must be "approve", "deny", or a JSON object with is_approved'


class _Decision(Body):
    is_approved: bool
    feedback: str | None = None
    params: Mapping[str, Any] | None = Field(None, strict=False)


def answer_by_content(services: Services, run: Run, given: SubmitInput, answered_by: str) -> None:
    """Answer the run's one open question, or the one that `request_id` names.

    Raises RunNotActiveError where the run asks nothing or the question is settled,
    InputAmbiguousError where it asks several things, InvalidRequestError for what does not fit.
    """
    request = _request(services, run, given.request_id)
    answer = _answer(request, given.content)
    try:
        submit_input(services.stores, services.orchestrator, run.id, answer, answered_by)
    except ConflictError as error:
        raise RunNotActiveError(error.details) from error
    except InvalidRequestError as error:
        if "run" in error.details:  # It has ended since it was read.
            raise RunNotActiveError(error.details) from error
        details = {_field(name): fault for name, fault in error.details.items()}
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
        raise RunNotActiveError({"run": "has no open input request"})
    if len(waiting) > 1:
        ids = ", ".join(request.id for request in waiting)
        raise InputAmbiguousError({"request_id": f"must be one of: {ids}"})
    return waiting[0]


def _answer(request: InputRequest, content: str) -> Answer:
    if request.type == "human_feedback":
        feedback = parse_json(content, "content") if "form" in request.params else content
        return Answer(type=request.type, request_id=request.id, feedback=feedback)
    decision = _DECISIONS.get(content.strip().casefold())
    if decision is not None:
        return Answer(type=request.type, request_id=request.id, is_approved=decision)
    if not content.lstrip().startswith("{"):
        raise InvalidRequestError({"content": _HOW})
    said = _under_content(content)
    return Answer(type=request.type, request_id=request.id, **said.model_dump())


def _under_content(content: str) -> _Decision:
    try:
        return validate(parse_json(content, "content"), _Decision)
    except InvalidRequestError as error:
        details = {
            "content" if name in ("content", "body") else f"content.{name}": fault
            for name, fault in error.details.items()
        }
        raise InvalidRequestError(details) from error


def _field(name: str) -> str:
    """What a field of an answer is called here, where the content holds all of it."""
    if name == "request_id":
        return name
    if name == "is_approved":
        return "content"
    # Of a form, what lies inside of the feedback lies inside of the content.
    inner = name.removeprefix("feedback")
    return f"content{inner}" if inner != name else f"content.{name}"
