"""The approval request to raise a limit that a run has reached.

It belongs to no tool call. The approved limit is read from the log (`History.limit_overrides`), so
no other record stores it.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from runyard_service.agents.definitions.models import HIGHEST_LIMITS, Limits
from runyard_service.application.runs.journal import Journal
from runyard_service.application.steps.budget import WORDS, Budget, format_decimal
from runyard_service.domain.clock import timestamp, timestamp_in
from runyard_service.domain.costs import from_number, to_number
from runyard_service.domain.errors import LimitExceededError
from runyard_service.domain.event_payloads.input_requests import RequestedTool
from runyard_service.domain.history.history import History
from runyard_service.domain.ids import derived_id
from runyard_service.domain.input_requests import InputRequest

TOOL: RequestedTool = {"name": "raise_limit", "type": "limit", "effect": "none"}


def limit_request(journal: Journal, limits: Limits, name: str) -> InputRequest:
    """Return a request for twice the limit, doubled until it exceeds the use, up to the highest.

    The person can change `new_limit` in the answer.
    """
    budget = Budget(limits, journal.history)
    limit, used = budget.limit(name), budget.used(name)
    assert limit is not None, "there is no such limit to raise"
    new_limit = limit * 2
    while new_limit <= used:
        new_limit *= 2
    if used < HIGHEST_LIMITS[name]:
        new_limit = min(new_limit, Decimal(HIGHEST_LIMITS[name]))
    params = {"used": used, "current_limit": limit, "new_limit": new_limit}
    numbers = {key: _as_json_number(name, number) for key, number in params.items()}
    expires_in, on_expiry = limits.time_to_answer(None, "keep_waiting")
    return InputRequest(
        # Derived: the same request after a crash has the same id.
        id=derived_id(journal.run.id, "limit", str(len(journal.history.limit_requests))),
        run_id=journal.run.id,
        project_id=journal.run.project_id,
        agent=journal.run.agent,
        user_id=journal.run.user_id,
        sequence=journal.history.last + 1,
        type="approval_request",
        tool=TOOL,
        prompt=_prompt(name, numbers),
        params={"limit": name, **numbers},
        params_schema=_new_limit_schema(name, numbers["used"]),
        editable_params=("new_limit",),
        created_at=timestamp(),
        expires_at=None if expires_in is None else timestamp_in(expires_in),
        on_expiry=on_expiry,
    )


def _new_limit_schema(name: str, used: int | float) -> Mapping[str, Any]:
    new_limit = {
        "type": "number" if name == "usd" else "integer",
        "exclusiveMinimum": used,
        "maximum": HIGHEST_LIMITS[name],
    }
    return {"type": "object", "properties": {"new_limit": new_limit}}


def _prompt(name: str, numbers: Mapping[str, int | float]) -> str:
    used, limit, new_limit = (format_decimal(from_number(number)) for number in numbers.values())
    participle, unit = WORDS[name]
    return (
        f"The run has {participle} {used} of its {limit} {unit}, and needs more to continue. "
        f"Raise the limit to {new_limit}?"
    )


def is_limit_request(request: InputRequest) -> bool:
    """Return whether an answer to the request raises a limit."""
    return request.tool == TOOL


def validate_new_limit(params: Mapping[str, Any]) -> dict[str, str]:
    """Return the issues of the new limit, by field; empty if it is valid."""
    new_limit, name = params["new_limit"], params["limit"]
    if not isinstance(new_limit, int | float) or isinstance(new_limit, bool):
        return {"params.new_limit": "must be a number"}
    # First: no float can represent a very large integer.
    if not new_limit <= HIGHEST_LIMITS[name]:
        return {"params.new_limit": f"must be at most {HIGHEST_LIMITS[name]}"}
    if name != "usd" and new_limit != int(new_limit):
        return {"params.new_limit": "must be an integer"}
    if from_number(new_limit) <= from_number(params["used"]):
        return {"params.new_limit": "must be greater than the amount used"}
    return {}


def raise_if_denied(history: History) -> None:
    """Raise LimitExceededError if a person denied the newest limit request."""
    request = history.denied_limit_request
    if request is None or request.answer is None:
        return
    reason = request.answer.data.get("feedback")
    limit = format_decimal(from_number(request.limit_params["current_limit"]))
    message = f"a person denied raising the limit of {limit} {WORDS[request.limit][1]}"
    raise LimitExceededError(f"{message}: {reason}" if reason else message)


def _as_json_number(name: str, number: Decimal) -> int | float:
    return to_number(number) if name == "usd" else int(number)
