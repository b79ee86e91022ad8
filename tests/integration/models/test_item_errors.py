"""Test the failures of the Responses API, Gemini and Mistral, as each provider words them."""

import json
from dataclasses import replace
from typing import Any

import pytest

from runyard_service.agents.definitions.routes import Route
from runyard_service.agents.models.providers.model import ProviderModel
from runyard_service.domain.errors import ModelRejectedError, ModelUnavailableError, RunyardError
from tests.support.provider_runs import MODELS, VERSIONS
from tests.support.servers.loopback import Exchange, LoopbackServer, Received
from tests.support.servers.model_requests import events_of
from tests.support.servers.raw_exchanges import RawResponse, RawServer

AGAIN, NEVER = ModelUnavailableError, ModelRejectedError
KEY = "AIzaSy-secret-key-of-a-test"
PROVIDERS = {"p": "openai-responses", "g": "google", "m": "mistral"}


def failure_at(url: str, provider: str) -> RunyardError:
    """Return the error that the model raises; check that it contains no key."""
    route = Route(model=MODELS[provider], base_url=url + VERSIONS[provider])
    with pytest.raises(RunyardError) as caught:
        events_of(ProviderModel(route, KEY))
    said = getattr(caught.value, "provider", None)
    assert KEY not in f"{caught.value} {said}"
    return caught.value


def google(code: int, status: str, message: str, *details: dict[str, Any]) -> Any:
    error = {"code": code, "message": message, "status": status, "details": list(details)}
    return {"error": error}


def quota(limit: str) -> dict[str, Any]:
    return {
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [
            {
                "quotaMetric": "generativelanguage.googleapis.com/generate_content_requests",
                "quotaId": limit,
            }
        ],
    }


RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "23s"}
USED_UP = (
    "You exceeded your current quota, please check your plan and billing details. "
    "Please retry in 23.4s."
)
INVALID_KEY = {
    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
    "reason": "API_KEY_INVALID",
    "domain": "googleapis.com",
}
PER_MINUTE = quota("GenerateRequestsPerMinutePerProjectPerModel-FreeTier")
PER_DAY = quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier")


def openai(code: str | None, message: str, kind: str = "invalid_request_error") -> Any:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def mistral(code: str | None, message: str, kind: str) -> Any:
    return {"object": "error", "message": message, "type": kind, "param": None, "code": code}


# The API, the status, the body, the error, its words, and the seconds to wait.
RESPONSES: list[tuple[str, int, Any, type[RunyardError], str, float | None]] = [
    ("p", 401, openai("invalid_api_key", f"Incorrect API key: {KEY}."), NEVER, "credentials", None),
    ("p", 429, openai("rate_limit_exceeded", "Try again in 6s."), AGAIN, "HTTP 429", 7.0),
    ("p", 429, openai("insufficient_quota", "Check your plan."), NEVER, "quota", None),
    ("p", 400, openai("context_length_exceeded", "Too long."), NEVER, "longer than", None),
    ("p", 500, openai(None, "The server had an error.", "server_error"), AGAIN, "HTTP 500", None),
    (
        *("g", 400, google(400, "INVALID_ARGUMENT", "API key not valid.", INVALID_KEY)),
        *(NEVER, "does not accept the credentials", None),
    ),
    ("g", 403, google(403, "PERMISSION_DENIED", "Denied."), NEVER, "credentials", None),
    ("g", 404, google(404, "NOT_FOUND", "models/x is not found."), NEVER, "not know", None),
    ("g", 429, google(429, "RESOURCE_EXHAUSTED", USED_UP, PER_MINUTE, RETRY), AGAIN, "429", 23.0),
    ("g", 429, google(429, "RESOURCE_EXHAUSTED", USED_UP, PER_DAY, RETRY), NEVER, "quota", None),
    (
        *("g", 400, google(400, "INVALID_ARGUMENT", "The input token count exceeds the maximum.")),
        *(NEVER, "longer than the model can take", None),
    ),
    ("g", 400, google(400, "INVALID_ARGUMENT", "Unknown name."), NEVER, "rejected", None),
    ("g", 503, google(503, "UNAVAILABLE", "The model is overloaded."), AGAIN, "overloaded", None),
    ("g", 500, [google(500, "INTERNAL", "An internal error.")], AGAIN, "HTTP 500", None),
    ("m", 401, {"detail": "Unauthorized"}, NEVER, "credentials", None),
    ("m", 429, {"message": "Requests rate limit exceeded"}, AGAIN, "HTTP 429", 7.0),
    (
        *("m", 400, mistral("3051", "Prompt contains 40000 tokens.", "invalid_request_prompt")),
        *(NEVER, "longer than the model can take", None),
    ),
    ("m", 400, mistral("1500", "Invalid model: x", "invalid_model"), NEVER, "model", None),
    (
        *("m", 422, {"detail": [{"type": "extra_forbidden", "msg": "Extra inputs"}]}),
        *(NEVER, "rejected the request", None),
    ),
    ("m", 503, mistral("3700", "Overflow", "unreachable_backend"), AGAIN, "HTTP 503", None),
]


@pytest.mark.parametrize(("api", "status", "body", "kind", "words", "wait"), RESPONSES)
def test_an_http_error_has_its_cause(
    api: str, status: int, body: Any, kind: type[RunyardError], words: str, wait: float | None
) -> None:
    headers = {"retry-after": "7"} if wait == 7.0 else {}

    def answer(received: Received, exchange: Exchange) -> None:
        exchange.send_json(status, body, headers)

    with LoopbackServer(answer) as server:
        error = failure_at(server.url, PROVIDERS[api])
        assert len(server.received) == 1
    assert isinstance(error, kind)
    assert words in str(error)
    assert getattr(error, "retry_after", None) == wait


# By exchange file: failures after the status 200.
IN_STREAM: list[tuple[str, type[RunyardError], str]] = [
    ("p-rejected", NEVER, "content filter"),
    ("p-whole-rejected", NEVER, "content filter"),
    ("p-content-filter", NEVER, "content filter"),
    ("p-failed-rate-limit", AGAIN, "limits the rate"),
    ("p-failed-invalid-prompt", NEVER, "rejected the request"),
    ("p-error-event", AGAIN, "server_error"),
    ("g-safety", NEVER, "content filter"),
    ("g-blocked-prompt", NEVER, "content filter"),
    ("g-in-stream-503", AGAIN, "overloaded"),
    ("m-error-reason", AGAIN, "connection"),
    ("m-in-stream-error", AGAIN, "HTTP 429"),
]


@pytest.mark.parametrize(("name", "kind", "words"), IN_STREAM)
def test_a_failure_in_the_stream_has_its_cause(
    name: str, kind: type[RunyardError], words: str
) -> None:
    with RawServer(name) as server:
        error = failure_at(server.url, PROVIDERS[name[0]])
    assert isinstance(error, kind)
    assert words in str(error)


@pytest.mark.parametrize("name", ["p-done", "g-done", "m-done"])
def test_a_cut_stream_is_a_broken_connection(name: str) -> None:
    with RawServer(name, is_cut=True, chunk_bytes=100) as server:
        server.responses[0] = _first_half(server.responses[0])
        error = failure_at(server.url, PROVIDERS[name[0]])
    assert isinstance(error, ModelUnavailableError)
    assert error.kind == "network"


def _first_half(response: RawResponse) -> RawResponse:
    """Return the response up to the middle of its body."""
    return replace(response, body=response.body[: len(response.body) // 2])


@pytest.mark.parametrize("body", [b"data: 5\n\n", b"data: {\n\n", b"", b"data: []\n\n"])
@pytest.mark.parametrize("provider", ["openai-responses", "google", "mistral"])
def test_a_response_in_another_protocol_is_an_error(provider: str, body: bytes) -> None:
    def answer(received: Received, exchange: Exchange) -> None:
        exchange.send(200, body, {"content-type": "text/event-stream"})

    with LoopbackServer(answer) as server:
        assert isinstance(failure_at(server.url, provider), ModelUnavailableError)


@pytest.mark.parametrize("status", [200, 403])
@pytest.mark.parametrize("provider", ["openai-responses", "google", "mistral"])
def test_a_page_of_a_firewall_is_named(provider: str, status: int) -> None:
    def answer(received: Received, exchange: Exchange) -> None:
        exchange.send(status, b"<html><title>Blocked</title></html>", {"content-type": "text/html"})

    with LoopbackServer(answer) as server:
        assert "HTML page" in str(failure_at(server.url, provider))


@pytest.mark.parametrize("provider", ["openai-responses", "google", "mistral"])
def test_an_unreachable_server_is_a_retryable_error(provider: str) -> None:
    with LoopbackServer(lambda received, exchange: None) as server:
        url = server.url
    assert isinstance(failure_at(url, provider), ModelUnavailableError)


@pytest.mark.parametrize(
    ("provider", "header", "value"),
    [
        ("openai-responses", "authorization", f"Bearer {KEY}"),
        ("google", "x-goog-api-key", KEY),
        ("mistral", "authorization", f"Bearer {KEY}"),
    ],
)
def test_the_key_is_in_a_header_and_not_in_the_address(
    provider: str, header: str, value: str
) -> None:
    def answer(received: Received, exchange: Exchange) -> None:
        exchange.send_json(500, {})

    with LoopbackServer(answer) as server:
        failure_at(server.url, provider)
        (received,) = server.received
    assert received.headers[header] == value
    assert KEY not in received.path
    json.loads(received.body)
