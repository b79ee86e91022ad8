"""The base of all event classes, and the methods that answer input requests."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from runyard.client.records import Record, values_of

_OF_EVENT = {"of_event": True}


@dataclass(frozen=True, kw_only=True)
class Event(Record):
    """One event of a run's log. `raw` is the whole event, and `data` its own part.

    The other fields of a class are those of `data`. A field that the event lacks is None.
    """

    event_type: ClassVar[str] = ""
    """The type of all events of this class."""
    is_terminal: ClassVar[bool] = False
    """Whether the event is the last one of its log."""

    id: str = field(metadata=_OF_EVENT)
    type: str = field(metadata=_OF_EVENT)
    sequence: int = field(metadata=_OF_EVENT)
    timestamp: str = field(metadata=_OF_EVENT)
    run_id: str = field(default="", metadata=_OF_EVENT)

    @property
    def data(self) -> Mapping[str, Any]:
        """Return the event's own part, as the service sent it."""
        data: Mapping[str, Any] = self.raw.get("data") or {}
        return data

    @classmethod
    def of(cls, raw: Mapping[str, Any], run_id: str) -> Self:
        """Return the event of a JSON object."""
        return cls(
            raw=raw,
            id=raw.get("id", ""),
            type=raw["type"],
            sequence=raw["sequence"],
            timestamp=raw.get("timestamp", ""),
            run_id=run_id,
            **values_of(cls, raw.get("data") or {}),
        )


class RequestMethods:
    """What the event of an input request adds: methods that answer it.

    With `Runyard` a method returns when the answer is recorded. With `AsyncRunyard` it returns an
    awaitable.
    """

    run_id: str
    request_id: str
    _runs: Any = None

    def bind(self, runs: Any) -> None:
        """Store the `runs` of the client that sends the answer."""
        object.__setattr__(self, "_runs", runs)

    def _client_runs(self) -> Any:
        if self._runs is None:
            raise RuntimeError("the event is not from a stream; use client.runs.answer or .approve")
        return self._runs


class FeedbackRequestMethods(RequestMethods):
    """An input request for a text, a choice or a form."""

    def answer(self, feedback: Any) -> Any:
        """Answer with a string, one of `params["choices"]`, or an object for `params["form"]`."""
        runs = self._client_runs()
        return runs.answer(self.run_id, feedback, request_id=self.request_id)

    def decline(self) -> Any:
        """Decline to answer. The agent continues without the answer."""
        return self._client_runs().decline(self.run_id, request_id=self.request_id)


class ApprovalRequestMethods(RequestMethods):
    """An input request for an approval."""

    def approve(self, feedback: str | None = None, /, **params: Any) -> Any:
        """Approve the call, with these values in place of the proposed ones."""
        return self._client_runs().approve(
            self.run_id, params=params or None, feedback=feedback, request_id=self.request_id
        )

    def refuse(self, reason: str | None = None) -> Any:
        """Deny the call. The model reads the reason."""
        runs = self._client_runs()
        return runs.refuse(self.run_id, reason, request_id=self.request_id)
