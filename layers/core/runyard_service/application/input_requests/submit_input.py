"""Record the answer of a person, then resume the run from the record.

After `submit_input` returns, the answer is never lost. If the resume fails, the sweep or the same
answer sent again resumes the run.
"""

import logging
from collections.abc import Mapping
from typing import Any

from runyard_service.adapters.conflict_retry import SUBMIT_INPUT_ATTEMPTS, retry_on_conflict
from runyard_service.adapters.step_functions import Orchestrator
from runyard_service.adapters.stores import Stores
from runyard_service.agents.definitions.input_forms import (
    MAX_ANSWER_BYTES,
    normalize,
    size_of,
    validate_answer,
)
from runyard_service.agents.definitions.json_schema.validation import validate
from runyard_service.agents.definitions.models import Snapshot
from runyard_service.agents.mcp.pinned_tools import effective_definition
from runyard_service.application.input_requests.limit_increase import (
    is_limit_request,
    validate_new_limit,
)
from runyard_service.domain.clock import parse
from runyard_service.domain.errors import AppendConflictError, RetryableError
from runyard_service.domain.event_payloads.input_requests import ApprovalResolved, FeedbackReceived
from runyard_service.domain.events import Event, NewEvent
from runyard_service.domain.input_requests import Answer, InputRequest
from runyard_service.domain.request_errors import (
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    UnavailableError,
)
from runyard_service.domain.runs import Run
from runyard_service.observability import metrics

_log = logging.getLogger(__name__)


def submit_input(
    stores: Stores, orchestrator: Orchestrator, run_id: str, answer: Answer, answered_by: str
) -> None:
    """Record the answer. Resume the run if no other input request is open, or if it is a limit.

    `answered_by` is the id of the person, or else of the access key.
    Raise InvalidRequestError if the answer does not match the request, ConflictError if another
    answer is already recorded. The same answer again changes nothing.
    """
    for attempt in retry_on_conflict(SUBMIT_INPUT_ATTEMPTS, AppendConflictError):
        # Read the position first: the append after it fails if the data read below is outdated.
        last, _ = stores.log.last(run_id)
        run, request = stores.input_requests.get_with_run(run_id, answer.request_id)
        if run is None:
            raise NotFoundError
        if request is None:
            raise InvalidRequestError({"request_id": "is not a request of this run"})
        if request.type != answer.type:
            raise InvalidRequestError({"type": f"the request is of type {request.type}"})
        answer = _normalize(request, answer)
        if request.state == "answered" and request.answer == answer.content():
            _resume(stores, orchestrator, run, request)
            return
        if request.state in ("answered", "expired") or request.is_overdue:
            raise ConflictError(_reason_closed(request))
        if run.has_ended:
            raise InvalidRequestError({"run": f"has ended: {run.status}"})
        new_event = _answer_event(stores, run, request, answer, answered_by)
        updated_run = run.model_copy(update={"open_requests": run.open_requests - 1})
        changes = [
            stores.input_requests.close_change(
                request, "answered", answer.content(), closed_by=answered_by
            ),
            stores.runs.input_closed_change(run, updated_run.open_requests),
        ]
        with attempt:
            [event] = stores.log.append(run.id, last, [new_event], changes)
            break
    else:
        raise UnavailableError({"run": "is being modified concurrently; retry"})
    _record_metrics(run, request, event)
    _resume(stores, orchestrator, updated_run, request)


def _record_metrics(run: Run, request: InputRequest, event: Event) -> None:
    waited = parse(event.timestamp) - parse(request.created_at)
    metrics.record(
        "answer received",
        {metrics.ANSWERS: 1, metrics.WAIT_DURATION: max(0.0, waited.total_seconds())},
        {"Outcome": "received"},
        run_id=run.id,
        sequence=event.sequence,
        project_id=run.project_id,
    )


def _resume(stores: Stores, orchestrator: Orchestrator, run: Run, request: InputRequest) -> None:
    # A run that paused for a limit continues with this answer, whatever its own code has asked.
    is_about_run = request.tool_call_id is None
    if run.status != "paused" or (run.open_requests and not is_about_run):
        return
    # Read the token after the answer is committed: until then the wait can get a new token.
    token = stores.input_requests.token(run.id)
    try:
        if token is not None:
            orchestrator.resume(token)
    except RetryableError:
        _log.exception("run not resumed; the sweep will resume it", extra={"run_id": run.id})


def _reason_closed(request: InputRequest) -> dict[str, str]:
    """Return the details of the error: why the request takes no answer, and who was first."""
    if request.state != "answered":
        return {"request_id": f"expired at {request.expires_at}"}
    by, at = str(request.closed_by), str(request.closed_at)
    return {
        "request_id": f"was already answered by {by} at {at}",
        "answered_by": by,
        "answered_at": at,
    }


def _normalize(request: InputRequest, answer: Answer) -> Answer:
    if request.type != "human_feedback":
        return answer.without_unchanged(request.params)
    return answer.model_copy(update={"feedback": normalize(request.params, answer.feedback)})


def _answer_event(
    stores: Stores, run: Run, request: InputRequest, answer: Answer, answered_by: str
) -> NewEvent:
    if request.type == "human_feedback":
        _check_feedback(request, answer)
        received: FeedbackReceived = {"id": request.id, "answered_by": answered_by}
        if answer.declined:
            received["declined"] = True
        else:
            received["feedback"] = answer.feedback
        return NewEvent(type="agent.human_feedback.received", data=received)
    if answer.is_approved is None:
        raise InvalidRequestError({"is_approved": "is required"})
    if size_of(answer.content()) > MAX_ANSWER_BYTES:
        name = "feedback" if answer.params is None else "params"
        raise InvalidRequestError({name: f"must be at most {MAX_ANSWER_BYTES} bytes as JSON"})
    resolved: ApprovalResolved = {
        "id": request.id,
        "is_approved": answer.is_approved,
        "proposed_params": request.params,
        "effective_params": _apply_edits(stores, run, request, answer.params or {}),
        "answered_by": answered_by,
    }
    if answer.feedback is not None:
        resolved["feedback"] = answer.feedback
    return NewEvent(type="approval_request.resolved", data=resolved)


def _check_feedback(request: InputRequest, answer: Answer) -> None:
    issues = (
        _declined_issues(request, answer)
        if answer.declined
        else validate_answer(request.params, answer.feedback)
    )
    for name in ("is_approved", "params"):
        if getattr(answer, name) is not None:
            issues[name] = "is only allowed for approval requests"
    if issues:
        raise InvalidRequestError(issues)


def _declined_issues(request: InputRequest, answer: Answer) -> dict[str, str]:
    if answer.feedback is not None:
        return {"feedback": "cannot be combined with declined"}
    if not request.can_be_declined:
        return {"declined": "is not allowed for this request; answer with one of its choices"}
    return {}


def _apply_edits(
    stores: Stores, run: Run, request: InputRequest, edits: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Return the proposed arguments with the changes of the person, validated."""
    issues = {
        f"params.{name}": "cannot be changed"
        for name in edits
        if name not in request.editable_params
    }
    effective = {**request.params, **edits}
    if edits and not issues and is_limit_request(request):
        issues = validate_new_limit(effective)
    elif edits and not issues:
        snapshot = Snapshot.from_stored(stores.definitions.get(run.definition_digest))
        definition = snapshot.definition
        if snapshot.mcp_servers:
            history = stores.histories.read(run)
            definition = effective_definition(snapshot, history.tool_lists)
        tool = definition.tool(request.tool["name"])
        if tool is not None:
            issues = validate(tool.parameters, effective, under="params")
    if issues:
        raise InvalidRequestError(issues)
    return effective
