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

from runyard.domain.errors import (
    DefinitionError,
    ModelRefusedError,
    ModelUnavailableError,
    RunyardError,
)

# The last four are how pydantic-ai and the SDKs fail on a reply that is not shaped as its protocol
# says; only their names are told on.
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

_REFUSALS: tuple[tuple[type[Exception], str], ...] = (
    (ContentFilterError, "The provider's content filter stopped the reply"),
    (ModelAuthenticationError, "The provider does not accept the credentials"),
    (ModelNotFoundError, "The provider does not know the model"),
    (ModelContextWindowExceededError, "The conversation is longer than the model can take"),
    (ModelQuotaExceededError, "The account's quota or credit with the provider is used up"),
    (ModelRequestRejectedError, "The provider refused the request"),
)

_OUTAGES: tuple[tuple[type[Exception], str], ...] = (
    (ModelRateLimitError, "The provider limits the rate"),
    (ModelOverloadedError, "The provider is overloaded"),
    (ModelRequestTimeout, "The reply took longer than the route's timeout"),
    (ModelTimeoutError, "The provider did not answer in time"),
    (ModelConnectionError, "The connection to the provider failed"),
    (httpx2.TimeoutException, "The provider did not answer in time"),
    (httpx2.HTTPError, "The connection to the provider failed"),
    (HTTPClientError, "The connection to the provider failed"),
    (CredentialRetrievalError, "The AWS credentials could not be fetched"),
    (MetadataRetrievalError, "The AWS credentials could not be fetched"),
    (ModelAPIError, "The provider could not answer"),
    (AgentRunError, "The provider's reply could not be understood"),
)


def translated(error: Exception) -> RunyardError:
    """The error of ours that says what `error` means to the run."""
    if isinstance(error, UserError):
        return DefinitionError("The route, or a tool of the agent, does not suit this model.")
    refusal = next((text for kind, text in _REFUSALS if isinstance(error, kind)), None)
    # An in-stream error may carry a status of its own that is worth another attempt.
    if refusal is None and isinstance(error, ModelHTTPError) and not _is_retryable(error):
        refusal = "The provider refused the request"
    if refusal is not None:
        return ModelRefusedError(_sentence(refusal, error))
    outage = next((text for kind, text in _OUTAGES if isinstance(error, kind)), None)
    if outage is not None:
        return ModelUnavailableError(_sentence(outage, error), getattr(error, "retry_after", None))
    if isinstance(error, BotoCoreError):
        return ModelRefusedError(_sentence("The AWS client cannot make the request", error))
    return ModelUnavailableError(_sentence("The provider's reply could not be understood", error))


def _is_retryable(error: ModelHTTPError) -> bool:
    return error.status_code in RETRYABLE_STATUSES or error.status_code >= 500


def _sentence(text: str, error: Exception) -> str:
    """The sentence with what identifies the failure: status and error code, or the error's name."""
    marks = []
    if isinstance(error, ModelHTTPError):
        marks.append(f"HTTP {error.status_code}")
    code = getattr(error, "provider_error_code", None)
    if not isinstance(error, AgentRunError):
        code = type(error).__name__
    if code and re.fullmatch(r"[A-Za-z][\w.-]{0,63}", code):
        marks.append(code)
    return f"{text} ({', '.join(marks)})." if marks else f"{text}."
