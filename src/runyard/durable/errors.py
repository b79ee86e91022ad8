"""Errors that the code of an agent can receive or cause."""

from collections.abc import Mapping
from typing import Any


class StepFailed(Exception):  # noqa: N818 - its name in users' code says what happened
    """A step, a tool call or a model call failed, and the failure is recorded.

    `code` is `step_error` for an exception in a step, else the code of the event. `type` is the
    name of the exception's class, or empty.
    """

    def __init__(self, name: str, code: str, message: str, type_name: str = "") -> None:
        super().__init__(f"{name}: {type_name + ': ' if type_name else ''}{message}")
        self.name = name
        self.code = code
        self.message = message
        self.type = type_name

    @classmethod
    def from_journal(cls, name: str, error: Mapping[str, Any]) -> "StepFailed":
        """Return the error of a journal entry: `{code, message, type?}`."""
        return cls(name, str(error["code"]), str(error["message"]), str(error.get("type", "")))


class AgentFailure(BaseException):
    """The run must fail. User code cannot catch it with `except Exception`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Abandoned(BaseException):
    """The process abandons this copy of the agent's code: it gets no result."""
