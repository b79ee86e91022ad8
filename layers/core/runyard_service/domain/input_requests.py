"""What a run asks a person, and what the person answers.

An input request is open until it is answered, expired, or voided by the end of its run.
"""

from collections.abc import Iterable, Mapping
from math import inf
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from runyard_service.domain.clock import now, parse, timestamp

RequestType = Literal["human_feedback", "approval_request"]
RequestState = Literal["open", "answered", "expired", "void"]


class InputRequest(BaseModel):
    """One question of a run.

    `sequence` is the place of its event in the log; `tool_call_id` is the call that cannot go on
    without the answer, None where the run has met a limit and the answer may raise it.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    id: str
    run_id: str
    project_id: str
    sequence: int
    type: RequestType
    tool_call_id: str | None = None
    tool: Mapping[str, str]
    prompt: str
    params: Mapping[str, Any]
    editable_params: tuple[str, ...] = ()
    created_at: str
    expires_at: str | None = None
    on_expiry: str = "keep_waiting"
    state: RequestState = "open"
    answer: Mapping[str, Any] | None = None

    @property
    def is_overdue(self) -> bool:
        """Whether the time to answer is over, also while the timer has not told so yet.

        A question that keeps waiting only says when an answer is due.
        """
        if self.state != "open" or self.expires_at is None or self.on_expiry == "keep_waiting":
            return False
        return self.expires_at <= timestamp()


def seconds_left(requests: Iterable[InputRequest]) -> float:
    """Until the first of these questions expires, negative where it has; infinite if none does."""
    return min(
        (
            (parse(request.expires_at) - now()).total_seconds()
            for request in requests
            if request.expires_at is not None and request.on_expiry != "keep_waiting"
        ),
        default=inf,
    )


class Answer(BaseModel):
    """What a person said to one request. `feedback` alone answers a question; `is_approved`
    decides.

    `params` are the changed arguments of an approved call, not the whole of them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    type: RequestType
    request_id: str
    feedback: Any = None
    is_approved: bool | None = None
    params: Mapping[str, Any] | None = None

    def content(self) -> Mapping[str, Any]:
        """The answer as it is kept and compared: what was said, without who said it."""
        said = {
            "feedback": self.feedback,
            "is_approved": self.is_approved,
            "params": dict(self.params) if self.params is not None else None,
        }
        return {name: value for name, value in said.items() if value is not None}
