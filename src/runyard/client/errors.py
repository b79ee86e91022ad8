"""The errors of a client.

RunyardError
├── ApiError ── NotFound, KeyRefused, Conflict, RateLimited
├── ConnectionLost
├── GapError
├── Timeout
└── RunOutcome ── RunFailed, RunCanceled, RunWaits
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runyard.client.models import Run


class RunyardError(Exception):
    """The base of all errors of a client."""


class ApiError(RunyardError):
    """The service has answered with an error.

    `details` maps each invalid field to what is wrong with it. `request_id` finds the request in
    the log of the service. `retry_after` is in seconds.
    """

    def __init__(
        self,
        status: int,
        code: str = "",
        message: str = "",
        *,
        details: Mapping[str, Any] | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.status = status
        self.code = code
        self.message = message
        self.details: dict[str, Any] = dict(details or {})
        self.request_id = request_id
        self.retry_after = retry_after
        super().__init__(status, code, message)

    def __str__(self) -> str:
        """Return the status, the code, the details and the request id on one line."""
        issues = "; ".join(f"{field}: {issue}" for field, issue in self.details.items())
        text = f"{self.status} {self.code}: {issues or self.message}".rstrip(": ")
        return f"{text} (request {self.request_id})" if self.request_id else text


class NotFound(ApiError):
    """404: there is no such thing, or it belongs to another project."""


class KeyRefused(ApiError):
    """401 or 403: the access key is invalid, or lacks the scope that `details` name."""


class Conflict(ApiError):
    """409: the request conflicts with the current state."""

    @property
    def answered_by(self) -> str | None:
        """Return who has answered the input request, or None."""
        return self.details.get("answered_by")

    @property
    def answered_at(self) -> str | None:
        """Return when the input request was answered, or None."""
        return self.details.get("answered_at")


class RateLimited(ApiError):
    """429: the caller has reached a limit."""


class ConnectionLost(RunyardError):
    """The service could not be reached, or the connection ended before the answer.

    A write without an answer may have taken effect.
    """


class GapError(RunyardError):
    """A stream has skipped or repeated an event."""

    def __init__(self, expected: int, received: int) -> None:
        self.expected = expected
        self.received = received
        super().__init__(expected, received)

    def __str__(self) -> str:
        """Return both sequences, and how to continue."""
        return (
            f"the stream sent event {self.received} in place of {self.expected}; read the events"
            f" again from {self.expected - 1}"
        )


class Timeout(RunyardError, TimeoutError):
    """The run did not end in time. It continues: wait for it again, or follow it."""


class RunOutcome(RunyardError):
    """The run has no output. `run` is its state."""

    def __init__(self, run: "Run") -> None:
        self.run = run
        super().__init__(run)


class RunFailed(RunOutcome):
    """The run has failed; `run.error` says why."""

    def __str__(self) -> str:
        """Return the run, and the code and the message of its error."""
        error = self.run.error
        reason = f"{error.code}: {error.message}" if error else "without an error"
        return f"run {self.run.id} failed: {reason}"


class RunCanceled(RunOutcome):
    """The run was canceled."""

    def __str__(self) -> str:
        """Return the run."""
        return f"run {self.run.id} was canceled"


class RunWaits(RunOutcome):
    """The run waits for a person; `run.input_requests` says for what."""

    def __str__(self) -> str:
        """Return the run and its prompts."""
        prompts = "; ".join(request.prompt for request in self.run.input_requests)
        return f"run {self.run.id} waits for an answer: {prompts}"


class WebhookRejected(RunyardError):
    """A received webhook has no valid signature, or is too old. Answer it with 400."""
