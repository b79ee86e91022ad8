"""What a provider's failure means to a run: worth another attempt, or final.

One table for all providers. The messages are ours: they name the kind of failure, the HTTP status
and the provider's error code, and never the provider's text, which may quote keys or prompts.
"""

import re

import httpx2
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    MetadataRetrievalError,
)
from pydantic_ai.exceptions import (
    AgentRunError,
    ContentFilterError,
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelContextWindowExceededError,
    ModelHTTPError,
    ModelNotFoundError,
    ModelOverloadedError,
    ModelQuotaExceededError,
    ModelRateLimitError,
    ModelRequestRejectedError,
    ModelRequestTimeout,
    ModelTimeoutError,
    UserError,
)

from runyard_service.domain.errors import (
    DefinitionError,
    FailureKind,
    ModelRejectedError,
    ModelUnavailableError,
    RunyardError,
)

# The last four are how pydantic-ai and the SDKs fail on a response that violates its protocol;
# messages only contain their names.
PROVIDER_ERRORS = (
    AgentRunError,
    UserError,
    httpx2.HTTPError,
    BotoCoreError,
    ClientError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)

# 409: a conflict with another request; 424: Bedrock's failure in mid-stream; 425: too early.
RETRYABLE_STATUSES = frozenset({408, 409, 424, 425, 429})

_Table = tuple[tuple[type[Exception], FailureKind, str], ...]

_REJECTIONS: _Table = (
    (ContentFilterError, "rejected", "The provider's content filter stopped the response"),
    (ModelAuthenticationError, "rejected", "The provider does not accept the credentials"),
    (ModelNotFoundError, "invalid", "The provider does not know the model"),
    (
        *(ModelContextWindowExceededError, "invalid"),
        "The conversation is longer than the model can take",
    ),
    (
        *(ModelQuotaExceededError, "rejected"),
        "The account's quota or credit with the provider is used up",
    ),
    (ModelRequestRejectedError, "invalid", "The provider rejected the request"),
)

_OUTAGES: _Table = (
    (ModelRateLimitError, "rate_limited", "The provider limits the rate"),
    (ModelOverloadedError, "overloaded", "The provider is overloaded"),
    (ModelRequestTimeout, "network", "The response took longer than the route's timeout"),
    (ModelTimeoutError, "network", "The provider did not answer in time"),
    (ModelConnectionError, "network", "The connection to the provider failed"),
    (httpx2.TimeoutException, "network", "The provider did not answer in time"),
    (httpx2.HTTPError, "network", "The connection to the provider failed"),
    (HTTPClientError, "network", "The connection to the provider failed"),
    (CredentialRetrievalError, "network", "The AWS credentials could not be fetched"),
    (MetadataRetrievalError, "network", "The AWS credentials could not be fetched"),
    (ModelAPIError, "overloaded", "The provider could not answer"),
    (AgentRunError, "network", "The provider's response could not be understood"),
)


def translate_error(error: Exception) -> RunyardError:
    """The error of ours that says what `error` means to the run."""
    if isinstance(error, UserError):
        return DefinitionError("The route, or a tool of the agent, does not suit this model.")
    rejection = _found(_REJECTIONS, error)
    # An in-stream error may have a status of its own that is worth another attempt.
    if rejection is None and isinstance(error, ModelHTTPError) and not _is_retryable(error):
        rejection = ("invalid", "The provider rejected the request")
    if rejection is not None:
        return ModelRejectedError(_sentence(rejection[1], error), kind=rejection[0])
    outage = _found(_OUTAGES, error)
    if outage is not None:
        retry_after = getattr(error, "retry_after", None)
        return ModelUnavailableError(_sentence(outage[1], error), retry_after, kind=outage[0])
    if isinstance(error, BotoCoreError):
        text = _sentence("The AWS client cannot make the request", error)
        return ModelRejectedError(text, kind="invalid")
    text = _sentence("The provider's response could not be understood", error)
    return ModelUnavailableError(text, kind="network")


def _found(table: _Table, error: Exception) -> tuple[FailureKind, str] | None:
    return next((entry[1:] for entry in table if isinstance(error, entry[0])), None)


def _is_retryable(error: ModelHTTPError) -> bool:
    return error.status_code in RETRYABLE_STATUSES or error.status_code >= 500


def _sentence(text: str, error: Exception) -> str:
    """The sentence with what identifies the failure: status and error code, or the error's name."""
    details = []
    if isinstance(error, ModelHTTPError):
        details.append(f"HTTP {error.status_code}")
    code = getattr(error, "provider_error_code", None)
    if not isinstance(error, AgentRunError):
        code = type(error).__name__
    if code and re.fullmatch(r"[A-Za-z][\w.-]{0,63}", code):
        details.append(code)
    return f"{text} ({', '.join(details)})." if details else f"{text}."
