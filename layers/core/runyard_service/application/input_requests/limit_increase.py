"""The question that a run asks where it has met a limit: may it go on with a raised one?

An approval request that belongs to no tool call. What is approved is read from the log
(`History.raised`), so nothing has to be kept for it elsewhere.
"""

from collections.abc import Mapping
from decimal import Decimal
from math import isfinite
from typing import Any

from runyard_service.agents.definitions.models import Limits
from runyard_service.application.runs.journal import Journal
from runyard_service.application.steps.budget import WORDS, Budget, format_decimal
from runyard_service.domain.clock import timestamp, timestamp_in
from runyard_service.domain.costs import from_number, to_number
from runyard_service.domain.errors import LimitExceededError
from runyard_service.domain.history import History
from runyard_service.domain.ids import derived_id
from runyard_service.domain.input_requests import InputRequest

TOOL = {"name": "raise_limit", "type": "limit"}


def limit_request(journal: Journal, limits: Limits, name: str) -> InputRequest:
    """Ask for twice the limit, or what is above its use; the person may give another number."""
    budget = Budget(limits, journal.history)
    limit, used = budget.limit(name), budget.used(name)
    assert limit is not None, "what is not limited is not asked about"
    new_limit = limit * 2
    while new_limit <= used:
        new_limit *= 2
    params = {"used": used, "current_limit": limit, "new_limit": new_limit}
    shown = {key: _as_json_number(name, number) for key, number in params.items()}
    expires_in, on_expiry = limits.time_to_answer(None, "keep_waiting")
    return InputRequest(
        # Derived, so that asking again after a crash asks the same question and not another one.
        id=derived_id(journal.run.id, "limit", str(len(journal.history.limit_requests))),
        run_id=journal.run.id,
        project_id=journal.run.project_id,
        sequence=journal.history.last + 1,
        type="approval_request",
        tool=TOOL,
        prompt=_prompt(name, shown),
        params={"limit": name, **shown},
        editable_params=("new_limit",),
        created_at=timestamp(),
        expires_at=None if expires_in is None else timestamp_in(expires_in),
        on_expiry=on_expiry,
    )


def _prompt(name: str, shown: Mapping[str, int | float]) -> str:
    used, limit, new_limit = (format_decimal(from_number(number)) for number in shown.values())
    verb, unit = WORDS[name]
    return (
        f"The run has {verb} {used} of its {limit} {unit}, and needs more to continue. "
        f"Raise the limit to {new_limit}?"
    )


def is_limit_request(request: InputRequest) -> bool:
    """Whether an answer to the request raises a limit."""
    return request.tool_call_id is None


def validate_new_limit(params: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with the limit that a person gives; empty where nothing is."""
    new_limit, name = params["new_limit"], params["limit"]
    is_number = isinstance(new_limit, int | float) and not isinstance(new_limit, bool)
    if not is_number or not isfinite(new_limit):
        return {"params.new_limit": "must be a number"}
    if name != "usd" and new_limit != int(new_limit):
        return {"params.new_limit": "must be an integer"}
    if from_number(new_limit) <= from_number(params["used"]):
        return {"params.new_limit": "must be greater than the amount used"}
    return {}


def raise_if_denied(history: History) -> None:
    """Raise LimitExceededError if a person denied to raise the limit that the run met last."""
    request = history.denied_limit_request
    if request is None or request.answer is None:
        return
    reason = request.answer.data.get("feedback")
    limit = format_decimal(from_number(request.limit_params["current_limit"]))
    message = f"a person denied raising the limit of {limit} {WORDS[request.limit][1]}"
    raise LimitExceededError(f"{message}: {reason}" if reason else message)


def _as_json_number(name: str, number: Decimal) -> int | float:
    return to_number(number) if name == "usd" else int(number)
