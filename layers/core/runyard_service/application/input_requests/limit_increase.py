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
from runyard_service.application.steps.budget import WORDS, Budget, plain
from runyard_service.domain.clock import stamp, stamp_in
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
    raised_to = limit * 2
    while raised_to <= used:
        raised_to *= 2
    params = {"used": used, "limit_now": limit, "raised_to": raised_to}
    shown = {key: _shown(name, number) for key, number in params.items()}
    expires_in, on_expiry = limits.time_to_answer(None, "keep_waiting")
    return InputRequest(
        # Derived, so that asking again after a crash asks the same question and not another one.
        id=derived_id(journal.run.id, "limit", str(len(journal.history.limit_questions))),
        run_id=journal.run.id,
        project_id=journal.run.project_id,
        sequence=journal.history.last + 1,
        type="approval_request",
        tool=TOOL,
        prompt=_prompt(name, shown),
        params={"limit": name, **shown},
        editable_params=("raised_to",),
        created_at=stamp(),
        expires_at=None if expires_in is None else stamp_in(expires_in),
        on_expiry=on_expiry,
    )


def _prompt(name: str, shown: Mapping[str, int | float]) -> str:
    used, limit, raised_to = (plain(from_number(number)) for number in shown.values())
    verb, unit = WORDS[name]
    return (
        f"The run has {verb} {used} of its {limit} {unit}, and would need more to go on. "
        f"May it have up to {raised_to}?"
    )


def is_about_a_limit(request: InputRequest) -> bool:
    """Whether an answer to the request raises a limit."""
    return request.tool_call_id is None


def faults_of_raise(params: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with the limit that a person gives; empty where nothing is."""
    raised_to, name = params["raised_to"], params["limit"]
    is_number = isinstance(raised_to, int | float) and not isinstance(raised_to, bool)
    if not is_number or not isfinite(raised_to):
        return {"params.raised_to": "must be a number"}
    if name != "usd" and raised_to != int(raised_to):
        return {"params.raised_to": "must be a whole number"}
    if from_number(raised_to) <= from_number(params["used"]):
        return {"params.raised_to": "must be above what is used"}
    return {}


def raise_if_denied(history: History) -> None:
    """Raise LimitExceededError if a person denied the newest request to raise a limit."""
    request = history.refusal
    if request is None:
        return
    assert request.answer is not None, "only an answer denies a request"
    name, reason = request.limit, request.answer.data.get("feedback")
    limit = plain(from_number(request.asked.data["params"]["limit_now"]))
    message = f"a person did not raise the run's limit of {limit} {WORDS[name][1]}"
    raise LimitExceededError(f"{message}: {reason}" if reason else message)


def _shown(name: str, number: Decimal) -> int | float:
    return to_number(number) if name == "usd" else int(number)
