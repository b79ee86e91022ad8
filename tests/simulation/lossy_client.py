"""A DynamoDB client whose process is lost or suspended at one of its writes."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

_WRITES = frozenset({"put_item", "update_item", "transact_write_items"})

FailureMode = Literal["lost before", "lost after", "suspended before", "suspended after"]


class ProcessLostError(BaseException):
    """The process is lost: all its further calls fail."""


@dataclass(frozen=True)
class FailurePlan:
    """A failure of a process at one of its writes, counted from 1; 0 means no failure."""

    at: int = 0
    failure_mode: FailureMode = "lost before"

    @property
    def suspends(self) -> bool:
        """Return True if the process continues later."""
        return self.failure_mode.startswith("suspended")


class LossyClient:
    """Forward every call, until the plan applies. Each simulated process has its own client."""

    def __init__(self, client: Any, plan: FailurePlan) -> None:
        self.is_suspended = False
        self.suspended_or_ended = threading.Event()
        self.resumed = threading.Event()
        self._client = client
        self._plan = plan
        self._writes = 0
        self._is_lost = False
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)
        if not callable(call):
            return call

        def forward(**arguments: Any) -> Any:
            if self._is_lost:
                raise ProcessLostError
            if name in _WRITES and self._is_due():
                return self._fail(lambda: call(**arguments))
            return call(**arguments)

        return forward

    def _is_due(self) -> bool:
        with self._lock:
            self._writes += 1
            return self._writes == self._plan.at

    def _fail(self, write: Callable[[], Any]) -> Any:
        if self._plan.failure_mode == "suspended before":
            self._wait()
        if self._plan.failure_mode == "lost before":
            self._lose()
        response = write()
        if self._plan.failure_mode == "suspended after":
            self._wait()
        if self._plan.failure_mode == "lost after":
            self._lose()
        return response

    def _wait(self) -> None:
        self.is_suspended = True
        self.suspended_or_ended.set()
        assert self.resumed.wait(60), "the test never resumed the process"

    def _lose(self) -> None:
        self._is_lost = True
        raise ProcessLostError
