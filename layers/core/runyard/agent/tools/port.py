"""The port to a tool: one call in, its text or its failure out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runyard.domain.errors import RunyardError


@dataclass(frozen=True)
class ToolInvocation:
    """One call to be made. `tool_call_id` is also the idempotency key towards the tool."""

    run_id: str
    tool_call_id: str
    input: Mapping[str, Any]


@dataclass(frozen=True)
class ToolEnvironment:
    """What an installation gives to its tools.

    `variables` are the values of `${NAME}`; `private_hosts` are the `host:port` that may be reached
    though their address is private.
    """

    variables: Mapping[str, str]
    private_hosts: tuple[str, ...] = ()


class ToolFailedError(RunyardError):
    """The tool did not do what it was asked; the model is told `code` and `message`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
