"""Every error that Runyard raises on purpose, sorted by who acts on it.

    RunyardError
    ├── RetryableError          nobody's fault: the state machine tries the step again, by this name
    │   ├── StoreUnavailableError, OrchestratorUnavailableError
    │   ├── SupersededError
    │   └── ModelUnavailableError
    ├── StoreRefusedError       a mistake of ours: the run is closed as an internal error
    ├── FinalError              trying again cannot help: the run is closed with `code`
    │   ├── ModelRefusedError
    │   ├── LimitExceededError
    │   ├── OutputInvalidError
    │   ├── ReplyTruncatedError
    │   ├── ToolInDoubtError
    │   ├── InputExpiredError
    │   └── DefinitionError
    ├── AppendConflictError     another writer was first: read on, then decide
    └── RequestError            the caller's fault: one table per API turns it into a response
        ├── UnauthorizedError ── MissingTokenError
        ├── NotFoundError ── ThreadNotFoundError, ProjectNotFoundError
        ├── ConflictError ── RunLiveError, ThreadBusyError, RunNotActiveError, InputAmbiguousError
        ├── TooManyRequestsError ── RunLimitError
        └── … and those without a more precise one

This module is at the bottom of the import graph and imports nothing of Runyard.
"""

from collections.abc import Mapping
from typing import Literal

# How a call of a model or a tool can fail: the first three may succeed later, the others never.
FailureKind = Literal["rate_limited", "overloaded", "network", "refused", "invalid"]
TRANSIENT_KINDS: frozenset[FailureKind] = frozenset({"rate_limited", "overloaded", "network"})


class RunyardError(Exception):
    """Something went wrong that Runyard has a name for."""


class RetryableError(RunyardError):
    """The same attempt may succeed later."""


class StoreUnavailableError(RetryableError):
    """DynamoDB or S3 did not take the call, after the client's own retries."""


class SupersededError(RetryableError):
    """Another worker has taken the run up: this one must stop, and the next attempt reads on."""


class ModelUnavailableError(RetryableError):
    """The model's provider is overloaded, limits the rate, or cannot be reached.

    `retry_after` is the provider's own wish in seconds, where it gave one. `was_tried` is False
    where nobody was asked, because the provider is known to fail.
    """

    def __init__(
        self,
        message: str,
        retry_after: float | None = None,
        *,
        kind: FailureKind = "overloaded",
        was_tried: bool = True,
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.kind = kind
        self.was_tried = was_tried


class StoreRejectedError(RunyardError):
    """DynamoDB or S3 refused the call for what it is: a mistake of ours or of the deployment."""


class TerminalError(RunyardError):
    """The run cannot go on; `code` becomes the code of its `run.failed` event."""

    code = "internal_error"


class ModelRejectedError(TerminalError):
    """The model's provider refused the request for what it is: credentials, model id, content."""

    code = "model_refused"

    def __init__(self, message: str, *, kind: FailureKind = "refused") -> None:
        super().__init__(message)
        self.kind = kind


class LimitExceededError(TerminalError):
    """A limit was met; `limit` names the one that a person may raise, if it is such a one."""

    code = "limit_exceeded"

    def __init__(self, message: str, limit: str = "") -> None:
        super().__init__(message)
        self.limit = limit


class OutputInvalidError(TerminalError):
    """The model's answer did not fit the agent's `output_schema`, also when it was told."""

    code = "output_invalid"


class ReplyTruncatedError(TerminalError):
    """The model's replies were cut off, also when it was asked for shorter ones."""

    code = "reply_truncated"


class ToolInDoubtError(TerminalError):
    """A call may or may not have been made, and a person decided that the run must not go on."""

    code = "tool_call_in_doubt"


class InputExpiredError(TerminalError):
    """Nobody answered in time, and the agent's definition says that the run fails then."""

    code = "input_expired"


class DefinitionError(TerminalError):
    """An agent's definition, route or script is missing or cannot be used as it is written."""

    code = "definition_invalid"


class AppendConflictError(RunyardError):
    """Another writer holds the slot after the last event that this writer has seen."""


class RequestError(RunyardError):
    """The caller asked for something that cannot be done.

    `details` maps each offending field to what is wrong with it, in words fit for the caller.
    """

    def __init__(self, details: Mapping[str, str] | None = None) -> None:
        super().__init__("; ".join(f"{field}: {fault}" for field, fault in (details or {}).items()))
        self.details = dict(details or {})


class InvalidRequestError(RequestError):
    """The request is not one that could ever succeed as it is."""


class UnauthorizedError(RequestError):
    """The access key is missing, unknown, expired or revoked."""


class MissingTokenError(UnauthorizedError):
    """The request carries no access key at all."""


class ForbiddenError(RequestError):
    """The access key lacks the scope that the route needs."""


class NotFoundError(RequestError):
    """There is no such run, or it belongs to another project."""


class ThreadNotFoundError(NotFoundError):
    """There is no such thread, or it belongs to another project."""


class ProjectNotFoundError(NotFoundError):
    """The organization has no such project."""


class ConflictError(RequestError):
    """The request contradicts what is already recorded."""


class RunActiveError(ConflictError):
    """The run has not ended, and only what has ended can be deleted."""


class ThreadBusyError(ConflictError):
    """A run is at work in the thread."""


class RunNotActiveError(ConflictError):
    """The run has ended, or asks nothing."""


class InputAmbiguousError(ConflictError):
    """The run asks several things, and the answer does not say which one it is for."""


class PayloadTooLargeError(RequestError):
    """The request is larger than this door can take."""


class UnsupportedMediaTypeError(RequestError):
    """The request's body is of a type that this route does not take."""


class TooManyRequestsError(RequestError):
    """A limit of the caller's is used up for now; `retry_after` seconds later there is room."""

    def __init__(self, details: Mapping[str, str] | None = None, *, retry_after: int = 1) -> None:
        super().__init__(details)
        self.retry_after = retry_after


class RunLimitError(TooManyRequestsError):
    """As many runs are at work as may be."""


class UnavailableError(RequestError):
    """The service cannot do it now; the caller may try again."""
