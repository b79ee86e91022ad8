"""Every error that Runyard raises on purpose, sorted by who acts on it.

    RunyardError
    ├── RetryableError          transient: the state machine retries the step, by this error name
    │   ├── StoreUnavailableError, OrchestratorUnavailableError
    │   ├── SupersededError
    │   ├── ModelUnavailableError
    │   ├── ToolsUnavailableError
    │   └── FunctionUnavailableError
    ├── StoreRejectedError      a bug of Runyard: the run is closed as an internal error
    ├── TerminalError           a retry cannot help: the run is closed with `code`
    │   ├── ModelRejectedError ── GuardrailIntervenedError, ContextTooLongError
    │   ├── ModelBackoffError
    │   ├── LimitExceededError
    │   ├── OutputInvalidError
    │   ├── ResponseTruncatedError
    │   ├── NoAnswerError
    │   ├── ToolInDoubtError
    │   ├── InputExpiredError
    │   ├── ToolsRejectedError, ToolsInvalidError, ToolsChangedError
    │   └── DefinitionError
    ├── AppendConflictError     another writer was first: read its events, then decide
    └── RequestError            the caller must act: see request_errors.py

Of Runyard, this module only imports the words of providers.
"""

from typing import Literal

from runyard_service.domain.provider_failures import ProviderFailure

# How a call of a model or a tool can fail. Only the first three kinds are transient.
FailureKind = Literal["rate_limited", "overloaded", "network", "rejected", "invalid"]
TRANSIENT_KINDS: frozenset[FailureKind] = frozenset({"rate_limited", "overloaded", "network"})


class RunyardError(Exception):
    """The base class of all errors that Runyard raises on purpose."""


class RetryableError(RunyardError):
    """The same attempt may succeed later."""


class StoreUnavailableError(RetryableError):
    """DynamoDB or S3 failed the call, after the retries of the client."""


class SupersededError(RetryableError):
    """Another worker has recovered the run. This worker stops; the next attempt reads the log."""


class ModelUnavailableError(RetryableError):
    """The provider of the model is overloaded, limits the rate, or cannot be reached.

    `retry_after` is the delay in seconds that the provider requests, None if it requests none.
    `was_attempted` is False if no request was sent, because the circuit breaker is open.
    `provider` is what the provider said.
    """

    def __init__(
        self,
        message: str,
        retry_after: float | None = None,
        *,
        kind: FailureKind = "overloaded",
        was_attempted: bool = True,
        provider: ProviderFailure | None = None,
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.kind = kind
        self.was_attempted = was_attempted
        self.provider = provider


class ToolsUnavailableError(RetryableError):
    """An MCP server did not list its tools, and a later attempt can succeed."""


class FunctionUnavailableError(RetryableError):
    """Lambda did not run the function to its end. Another invocation can succeed.

    `was_started` is False if the function certainly did not run.
    """

    def __init__(self, message: str, *, was_started: bool) -> None:
        super().__init__(message)
        self.was_started = was_started


class StoreRejectedError(RunyardError):
    """DynamoDB or S3 rejected the call as invalid: a bug of Runyard or of the deployment."""


class TerminalError(RunyardError):
    """The run cannot continue; `code` becomes the code of its `run.failed` event.

    `provider` is what the provider of the model said, if the failure is the provider's.
    """

    code = "internal_error"
    provider: ProviderFailure | None = None


class ModelRejectedError(TerminalError):
    """The provider of the model rejected the request: credentials, model id, or content."""

    code = "model_rejected"

    def __init__(
        self,
        message: str,
        *,
        kind: FailureKind = "rejected",
        provider: ProviderFailure | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.provider = provider


class ContextTooLongError(ModelRejectedError):
    """The request is longer than the context window of the model; a shorter request can succeed."""


class GuardrailIntervenedError(ModelRejectedError):
    """The agent's guardrail blocked the request or the response. No other model may answer it."""

    code = "guardrail_intervened"

    def __init__(self) -> None:
        super().__init__("The agent's guardrail blocked the request or the response.")


class ModelBackoffError(TerminalError):
    """The provider requests a longer delay than the retries of the run take."""

    code = "model_unavailable"

    def __init__(self, message: str, provider: ProviderFailure | None = None) -> None:
        super().__init__(message)
        self.provider = provider


class LimitExceededError(TerminalError):
    """The run exceeds a limit. `limit` names it if a person may raise it, else it is empty."""

    code = "limit_exceeded"

    def __init__(self, message: str, limit: str = "") -> None:
        super().__init__(message)
        self.limit = limit


class OutputInvalidError(TerminalError):
    """The output does not match the agent's `output_schema`, also after feedback to the model."""

    code = "output_invalid"


class ResponseTruncatedError(TerminalError):
    """The responses were truncated, also after the model was asked for shorter responses."""

    code = "reply_truncated"


class NoAnswerError(TerminalError):
    """The responses had no answer, also after the model was asked again."""

    code = "no_answer"


class ToolInDoubtError(TerminalError):
    """It is unknown whether a call was made, and a person decided to fail the run."""

    code = "tool_call_in_doubt"


class InputExpiredError(TerminalError):
    """No person answered in time, and the agent definition says that the run then fails."""

    code = "input_expired"


class ToolsRejectedError(TerminalError):
    """An MCP server rejected the request for its tools, and no retry can help."""

    code = "tools_unavailable"


class ToolsInvalidError(TerminalError):
    """The tools of the MCP servers cannot all be given to the model."""

    code = "tools_invalid"


class ToolsChangedError(TerminalError):
    """Tools of an MCP server differ from the lock file, and the run must not use them."""

    code = "tools_changed"


class DefinitionError(TerminalError):
    """A definition, route or script of an agent is missing or invalid."""

    code = "definition_invalid"


class AppendConflictError(RunyardError):
    """Another writer has written the sequence after the last event that this writer has read."""
