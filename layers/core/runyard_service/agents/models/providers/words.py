"""What a provider said about a failure: its status, code, message and request id, and its cause.

Providers, gateways and servers use different fields for codes and messages, in upper, lower and
mixed case. So all texts of the body are read, and compared without case, spaces and punctuation.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from runyard_service.domain.provider_failures import MAX_MESSAGE_CHARACTERS, ProviderFailure

Cause = Literal["content", "quota", "context", "credentials", "model", "request"]

_CODE_FIELDS = ("code", "Code", "error_code", "type", "error_type", "status")
_MESSAGE_FIELDS = ("message", "Message", "error_message", "detail", "msg", "error")
_REQUEST_ID_FIELDS = ("request_id", "requestId", "RequestId", "x-request-id")
_REQUEST_ID_HEADERS = ("x-request-id", "request-id", "x-amzn-requestid", "apim-request-id")
_MAX_DEPTH = 5
_MAX_TEXT = 20_000

# Texts that only codes contain, and texts that codes or messages contain, without punctuation.
_CODES: Mapping[Cause, Sequence[str]] = {
    "content": ("contentfilter", "contentpolicy", "datainspectionfailed"),
    "quota": ("insufficientquota", "billing", "spendlimit", "usagelimitexceeded", "currentquota"),
    # 3051 is Mistral's.
    "context": ("contextlength", "contextwindow", "3051"),
    "credentials": ("authentication", "unauthenticated", "permission", "accessdenied", "apikey"),
    "model": ("modelnotfound", "invalidmodel"),
    "request": (
        *("badrequest", "invalidrequest", "invalidargument", "validation", "unprocessable"),
        *("invalidprompt", "invalidimage", "imagetoolarge", "imagetoosmall", "imageparseerror"),
    ),
}
_TEXTS: Mapping[Cause, Sequence[str]] = {
    "quota": (
        *("quotaexceeded", "exceededyourcurrentquota", "insufficientquota", "quotaisexhausted"),
        *("creditbalance", "insufficientcredit", "insufficientbalance", "outofcredits"),
        *("billinghardlimit", "insufficientfunds", "paymentrequired"),
    ),
    "context": (
        *("contextlength", "contextwindow", "maximumcontext", "promptistoolong"),
        *("inputistoolong", "inputtokencount", "inputtokensexceeded", "toomanyinputtokens"),
        *("reducethelengthofthemessages", "reducethelengthoftheprompt"),
    ),
    "credentials": (
        *("invalidapikey", "incorrectapikey", "apikeynotvalid", "apikeyisinvalid"),
        *("invalidauthentication", "unauthorized", "notauthorized", "accessdenied"),
        *("permissiondenied", "donothavepermission", "doesnothavepermission", "missingapikey"),
        *("expiredtoken", "securitytoken", "invalidsignature", "unrecognizedclient"),
        *("authenticationerror", "authenticationfailed", "forbiddenforthiskey"),
    ),
}
# Codes that say that another attempt can succeed, whatever else the message mentions.
_TRANSIENT = ("ratelimit", "overloaded", "servererror", "unavailable", "timeout", "throttl")
# A quota of requests per minute is a rate limit.
_RATES = ("perminute", "persecond", "tryagainin", "retryin", "ratelimit", "agreementbeingcreated")

_SECRETS = re.compile(
    r"""(?ix)
    \b(?:bearer|basic)\s+[\w.~+/=*-]{6,}
    | \b(?:sk|pk|rk|gsk|xai|key|tok|pplx|hf|ghp|github_pat)[-_][\w*-]{6,}
    | \b(?:AKIA|ASIA|AIza)[\w-]{12,}
    | \beyJ[\w-]{6,}\.[\w-]+(?:\.[\w-]*)?
    | (?<=key=)[^\s&"']+ | (?<=token=)[^\s&"']+ | (?<=secret=)[^\s&"']+
    | (?<=signature=)[^\s&"']+ | (?<=password=)[^\s&"']+
    | //[^\s/@"']+:[^\s/@"']+@
    | \b(?=[\w+/=-]*\d)(?=[\w+/=-]*[a-z])[\w+/=-]{32,}
    """
)
_MASK = "[masked]"
# Shorter keys, of local servers, are words that every message may contain.
_MIN_SECRET = 8


@dataclass(frozen=True)
class ProviderWords:
    """The words of one failure, and their cause if it is certain that no retry can help."""

    failure: ProviderFailure
    cause: Cause | None
    is_html: bool


def words_of(
    status: int | None,
    body: object,
    message: str = "",
    headers: Mapping[str, str] | None = None,
    secrets: Sequence[str] = (),
) -> ProviderWords:
    """Return the words in an error response or in an error inside a stream.

    `message` is the SDK's, if the body has none. `secrets` are masked wherever they occur.
    """
    if isinstance(body, str) and is_html(body):
        title = re.search(r"(?is)<title[^>]*>(.*?)</title>", body)
        text = " ".join(title[1].split()) if title else "an HTML page"
        failure = ProviderFailure(status, None, _masked(text, secrets), _header(headers))
        return ProviderWords(failure, None, is_html=True)
    codes = [str(value) for value in _values(body, _CODE_FIELDS) if _is_scalar(value)]
    texts = [value for value in _values(body, _MESSAGE_FIELDS) if isinstance(value, str)]
    if isinstance(body, str) and body.strip():
        texts.append(body)
    text = next(filter(None, map(str.strip, texts)), message.strip())
    ids = [value for value in _values(body, _REQUEST_ID_FIELDS) if isinstance(value, str)]
    failure = ProviderFailure(
        status,
        next((code for code in codes if re.fullmatch(r"[A-Za-z][\w.-]{0,63}", code)), None),
        _masked(text, secrets) if text else None,
        _header(headers) or next((_masked(value, secrets)[:128] for value in ids), None),
    )
    return ProviderWords(failure, _cause(codes, [*texts, message]), is_html=False)


def is_html(text: str) -> bool:
    """Return whether a body is an HTML page. Providers send none: a proxy or a firewall does."""
    return text.lstrip("\ufeff \t\r\n")[:15].lower().startswith(("<!doctype html", "<html"))


def _cause(codes: Sequence[str], texts: Sequence[str]) -> Cause | None:
    code = " ".join(map(_squeezed, codes))
    everything = " ".join([code, *map(_squeezed, texts)])
    is_rate = any(word in everything for word in _RATES)
    is_transient = any(word in code for word in _TRANSIENT)
    for cause in ("content", "quota", "context", "credentials", "model", "request"):
        if cause == "quota" and is_rate and "insufficientquota" not in code:
            continue
        if is_transient and cause not in ("quota", "context"):
            continue
        if any(word in code for word in _CODES[cause]):
            return cause
        if any(word in everything for word in _TEXTS.get(cause, ())):
            return cause
    return None


def _squeezed(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text[:_MAX_TEXT].lower())


def _values(body: object, names: Sequence[str], depth: int = 0) -> Iterator[Any]:
    """Yield the values of these fields, those of outer objects first."""
    if depth > _MAX_DEPTH:
        return
    if isinstance(body, Mapping):
        yield from (body[name] for name in names if body.get(name))
        for inner in body.values():
            yield from _values(inner, names, depth + 1)
    elif isinstance(body, list):
        for inner in body[:10]:
            yield from _values(inner, names, depth + 1)


def _is_scalar(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _header(headers: Mapping[str, str] | None) -> str | None:
    found = headers or {}
    return next((found[name][:128] for name in _REQUEST_ID_HEADERS if name in found), None)


def _masked(text: str, secrets: Sequence[str]) -> str:
    """Return the text without secrets and control characters, of limited length."""
    text = text[:_MAX_TEXT]
    for secret in secrets:
        if len(secret) >= _MIN_SECRET:
            text = text.replace(secret, _MASK)
    text = "".join(
        character if character.isprintable() else " " for character in _SECRETS.sub(_MASK, text)
    )
    if len(text) <= MAX_MESSAGE_CHARACTERS:
        return text
    return f"{text[: MAX_MESSAGE_CHARACTERS - 1]}…"
