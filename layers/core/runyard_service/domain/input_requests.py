"""Input requests of a run, and the answers of persons.

An input request is open until a person answers it, it expires, or the end of its run voids it.
"""

from collections.abc import Iterable, Mapping
from math import inf
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from runyard_service.domain.clock import now, parse, timestamp
from runyard_service.domain.event_payloads.input_requests import RequestedTool

RequestType = Literal["human_feedback", "approval_request"]
RequestState = Literal["open", "answered", "expired", "void"]


class InputRequest(BaseModel):
    """One input request of a run.

    `agent` and `user_id` are those of the run. `sequence` is the sequence of its event.
    `tool_call_id` is the call that waits for the answer. It is None if the run has reached a limit
    and the answer can raise it. `params_schema` is the JSON Schema of the `editable_params`, if
    known.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    id: str
    run_id: str
    project_id: str
    agent: str
    user_id: str | None = None
    sequence: int
    type: RequestType
    tool_call_id: str | None = None
    tool: RequestedTool
    prompt: str
    params: Mapping[str, Any]
    params_schema: Mapping[str, Any] | None = None
    editable_params: tuple[str, ...] = ()
    created_at: str
    expires_at: str | None = None
    on_expiry: str = "keep_waiting"
    state: RequestState = "open"
    answer: Mapping[str, Any] | None = None
    closed_by: str | None = None
    """The id of the person who answered, or else of the access key."""
    closed_at: str | None = None

    @property
    def can_be_declined(self) -> bool:
        """Return whether a person may decline to answer: not what to do with a call in doubt."""
        return self.type == "human_feedback" and "input" not in self.params

    @property
    def is_overdue(self) -> bool:
        """Return whether the time to answer is over, also before the timer has fired.

        With `keep_waiting`, `expires_at` only says when an answer is due: False.
        """
        if self.state != "open" or self.expires_at is None or self.on_expiry == "keep_waiting":
            return False
        return self.expires_at <= timestamp()


def seconds_left(requests: Iterable[InputRequest]) -> float:
    """Return seconds until the first request expires: negative after it, infinite if none does."""
    return min(
        (
            (parse(request.expires_at) - now()).total_seconds()
            for request in requests
            if request.expires_at is not None and request.on_expiry != "keep_waiting"
        ),
        default=inf,
    )


class Answer(BaseModel):
    """The answer of a person to one input request.

    A human feedback request needs `feedback` only, or is `declined`: the person does not answer. An
    approval request needs `is_approved`.
    `params` are the changed arguments of an approved call. They may repeat unchanged arguments.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    type: RequestType
    request_id: str
    feedback: Any = None
    declined: bool | None = None
    is_approved: bool | None = None
    params: Mapping[str, Any] | None = None

    def without_unchanged(self, proposed: Mapping[str, Any]) -> "Answer":
        """Return the answer to an approval without the params that change nothing.

        These are all params of a denial, and params that are equal to the proposed arguments.
        """
        changed = {
            name: value
            for name, value in (self.params or {}).items()
            if self.is_approved and not (name in proposed and _is_same(value, proposed[name]))
        }
        return self.model_copy(update={"params": changed or None})

    def content(self) -> Mapping[str, Any]:
        """Return the content that is stored and compared, without the author of the answer."""
        fields = {
            "feedback": self.feedback,
            "declined": self.declined,
            "is_approved": self.is_approved,
            "params": dict(self.params) if self.params is not None else None,
        }
        return {name: value for name, value in fields.items() if value is not None}


def _is_same(left: Any, right: Any) -> bool:
    """Return whether two JSON values are equal: 1 and 1.0 are, 1 and true are not."""
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(_is_same(left[k], right[k]) for k in left)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(_is_same, left, right))
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)
