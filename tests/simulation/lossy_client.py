"""A DynamoDB client whose user is lost, or held up, at one of its writes."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

_WRITES = frozenset({"put_item", "update_item", "transact_write_items"})

FailureMode = Literal["lost before", "lost after", "held before", "held after"]


class ProcessLostError(BaseException):
    """The process is gone: whatever it still tries to do, it does not do."""


@dataclass(frozen=True)
class FailurePlan:
    """What happens to a process, and at which of its writes, counted from 1; 0: nothing."""

    at: int = 0
    mishap: FailureMode = "lost before"

    @property
    def holds(self) -> bool:
        """Whether the process goes on later."""
        return self.mishap.startswith("held")


class LossyClient:
    """Passes every call on, until its plan says otherwise. One for each process that is played."""

    def __init__(self, client: Any, plan: FailurePlan) -> None:
        self.is_held = False
        self.held_or_ended = threading.Event()
        self.go_on = threading.Event()
        self._client = client
        self._plan = plan
        self._writes = 0
        self._is_lost = False
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)
        if not callable(call):
            return call

        def passed_on(**arguments: Any) -> Any:
            if self._is_lost:
                raise ProcessLostError
            if name in _WRITES and self._is_its_turn():
                return self._meet(lambda: call(**arguments))
            return call(**arguments)

        return passed_on

    def _is_its_turn(self) -> bool:
        with self._lock:
            self._writes += 1
            return self._writes == self._plan.at

    def _meet(self, write: Callable[[], Any]) -> Any:
        if self._plan.mishap == "held before":
            self._wait()
        if self._plan.mishap == "lost before":
            self._lose()
        answer = write()
        if self._plan.mishap == "held after":
            self._wait()
        if self._plan.mishap == "lost after":
            self._lose()
        return answer

    def _wait(self) -> None:
        self.is_held = True
        self.held_or_ended.set()
        assert self.go_on.wait(60), "nobody let it go on"

    def _lose(self) -> None:
        self._is_lost = True
        raise ProcessLostError
