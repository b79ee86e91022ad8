"""The port to a tool: one call in, its text or its failure out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runyard_service.domain.errors import TRANSIENT_KINDS, FailureKind, RunyardError
from runyard_service.outbound.circuit_breaker import CircuitBreakers


@dataclass(frozen=True)
class ToolInvocation:
    """A tool call. `tool_call_id` is also the idempotency key of the request to the tool.

    `max_result_bytes` limits the result of a tool that has no limit of its own.
    """

    project_id: str
    run_id: str
    tool_call_id: str
    input: Mapping[str, Any]
    max_result_bytes: int = 256 * 1024


@dataclass(frozen=True)
class ToolEnvironment:
    """The configuration of an installation for its tools.

    `variables` are the values of `${NAME}`; `private_hosts` are the `host:port` that may be reached
    though their address is private. `circuits` are what this process knows of their addresses.
    """

    variables: Mapping[str, str]
    private_hosts: tuple[str, ...] = ()
    circuits: CircuitBreakers = field(default_factory=CircuitBreakers)


class ToolError(RunyardError):
    """A tool call failed; the model receives `code` and `message`.

    `retry_after` is the delay in seconds that the tool requests. `was_attempted` is False if the
    circuit breaker prevented the call; `is_in_doubt` is True if it was sent and its result is
    unknown.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        kind: FailureKind = "rejected",
        retry_after: float | None = None,
        was_attempted: bool = True,
        is_in_doubt: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.kind = kind
        self.retry_after = retry_after
        self.was_attempted = was_attempted
        self.is_in_doubt = is_in_doubt

    @property
    def is_transient(self) -> bool:
        """Return True if the same call may succeed later."""
        return self.was_attempted and self.kind in TRANSIENT_KINDS
