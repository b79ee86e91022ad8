"""What a provider's failure means to a run: worth another attempt, or final.

One table for all providers. The messages are ours: they name the kind of failure, the HTTP status
and the provider's error code. The provider's own text, without keys, is in `provider` of the error.
"""

import re
from collections.abc import Mapping, Sequence

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

from runyard_service.agents.models.providers.compatibility.whole_responses import HtmlPageError
from runyard_service.agents.models.providers.words import Cause, ProviderWords, words_of
from runyard_service.domain.errors import (
    ContextTooLongError,
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

# By what the provider says, in any field, with any status.
_CAUSES: Mapping[Cause, tuple[FailureKind, str]] = {
    "content": ("rejected", "The provider's content filter stopped the response"),
    "quota": ("rejected", "The account's quota or credit with the provider is used up"),
    "context": ("invalid", "The conversation is longer than the model can take"),
    "credentials": ("rejected", "The provider does not accept the credentials"),
    "model": ("invalid", "The provider does not know the model"),
    "request": ("invalid", "The provider rejected the request"),
}
_HTML_PAGE = "A proxy or firewall answered with an HTML page instead of the provider"

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


def translate_error(error: Exception, secrets: Sequence[str] = ()) -> RunyardError:
    """Return the error of ours that says what `error` means to the run.

    `secrets` are the keys that the provider's words must not contain.
    """
    if isinstance(error, UserError):
        return DefinitionError("The route, or a tool of the agent, does not suit this model.")
    words = _words(error, secrets)
    provider = words.failure if words.failure.to_json() else None
    rejection = _rejection(error, words)
    if rejection is not None:
        text = _sentence(rejection[1], error)
        if rejection == _CAUSES["context"]:
            return ContextTooLongError(text, kind=rejection[0], provider=provider)
        return ModelRejectedError(text, kind=rejection[0], provider=provider)
    outage = _found(_OUTAGES, error) or (
        "network",
        "The provider's response could not be understood",
    )
    text = _sentence(_HTML_PAGE if words.is_html else outage[1], error)
    retry_after = getattr(error, "retry_after", None)
    return ModelUnavailableError(text, retry_after, kind=outage[0], provider=provider)


def _words(error: Exception, secrets: Sequence[str]) -> ProviderWords:
    page = _html_page(error)
    if page is not None:
        return words_of(None, page, secrets=secrets)
    headers = getattr(error, "headers", None)
    if isinstance(error, ModelHTTPError):
        return words_of(error.status_code, error.body, "", headers, secrets)
    if isinstance(error, ModelConnectionError) or not isinstance(error, ModelAPIError):
        return words_of(None, None)
    message = error.message if error.in_stream else ""
    # An event of the Responses API has no body here, but a code.
    body = error.body or {"code": error.provider_error_code}
    return words_of(None, body, message, headers, secrets)


def _html_page(error: BaseException | None) -> str | None:
    """Return the page of an HtmlPageError among the causes of the SDK's error."""
    while error is not None:
        if isinstance(error, HtmlPageError):
            return error.page
        error = error.__cause__
    return None


def _rejection(error: Exception, words: ProviderWords) -> tuple[FailureKind, str] | None:
    """Return why no further attempt can succeed; None if one may."""
    is_final = isinstance(error, ModelHTTPError) and not _is_retryable(error)
    if words.is_html:
        return ("rejected", _HTML_PAGE) if is_final else None
    if words.cause is not None:
        return _CAUSES[words.cause]
    if isinstance(error, ModelHTTPError) and error.status_code == 403:
        # Also a firewall, a region or a project's settings: only words say which.
        return "rejected", "The provider denied the request"
    rejection = _found(_REJECTIONS, error)
    # An in-stream error may have a status of its own that is worth another attempt.
    if rejection is None and is_final:
        return "invalid", "The provider rejected the request"
    if rejection is None and isinstance(error, BotoCoreError) and not _found(_OUTAGES, error):
        return "invalid", "The AWS client cannot make the request"
    return rejection


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
