"""Test the error for each failure of a provider, over real HTTP: retryable or permanent."""

import asyncio
from typing import Any

import pytest

from runyard_service.agents.definitions.routes import Route
from runyard_service.agents.models.providers.model import ProviderModel
from runyard_service.domain.errors import (
    GuardrailIntervenedError,
    ModelRejectedError,
    ModelUnavailableError,
    RunyardError,
)
from tests.support.servers.anthropic_server import AnthropicServer, Message
from tests.support.servers.bedrock_server import (
    BedrockServer,
    ConverseResponse,
    encode_event,
)
from tests.support.servers.loopback import Exchange, LoopbackServer, Received
from tests.support.servers.model_requests import REQUEST, events_of
from tests.support.servers.model_server import ProviderFailure
from tests.support.servers.openai_server import ChatResponse, OpenAIServer

pytestmark = pytest.mark.usefixtures("bedrock_credentials")

AGAIN = ModelUnavailableError
NEVER = ModelRejectedError
KEY = "sk-secret-key"


def failure_of(provider: str, url: str) -> RunyardError:
    """Return the error that the model raises; check that it exposes no private text."""
    key = None if provider == "bedrock" else KEY
    with pytest.raises(RunyardError) as caught:
        events_of(ProviderModel(Route(model=f"{provider}:some-model", base_url=url), key))
    published = str(caught.value)
    assert "own words" not in published
    assert KEY not in published
    assert "Hello?" not in published
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value


OPENAI_FAILURES = [
    (ProviderFailure(400), NEVER, "HTTP 400"),
    (ProviderFailure(400, "context_length_exceeded"), NEVER, "longer than the model can take"),
    (ProviderFailure(401, "invalid_api_key"), NEVER, "credentials"),
    (ProviderFailure(403), NEVER, "HTTP 403"),
    (ProviderFailure(404, "model_not_found"), NEVER, "does not know the model"),
    (ProviderFailure(408), AGAIN, "HTTP 408"),
    (ProviderFailure(409), AGAIN, "HTTP 409"),
    (ProviderFailure(422), NEVER, "HTTP 422"),
    (ProviderFailure(429, "rate_limit_exceeded"), AGAIN, "HTTP 429, rate_limit_exceeded"),
    (ProviderFailure(429, "insufficient_quota"), NEVER, "quota"),
    (ProviderFailure(500), AGAIN, "HTTP 500"),
    (ProviderFailure(502), AGAIN, "HTTP 502"),
    (ProviderFailure(503), AGAIN, "HTTP 503"),
    (ProviderFailure(529), AGAIN, "overloaded"),
    (ChatResponse(text=["a", "b"], cut_after=2), AGAIN, "connection"),
    (ChatResponse(text=["a", "b"], finish_reason=""), AGAIN, "connection"),
    (ChatResponse(text=["a"], finish_reason="content_filter"), NEVER, "content filter"),
]


@pytest.mark.parametrize(("scripted", "kind", "words"), OPENAI_FAILURES)
def test_openai_errors(scripted: Any, kind: type[RunyardError], words: str) -> None:
    with OpenAIServer(scripted) as server:
        error = failure_of("openai", server.base_url)
        assert len(server.received) == 1, "the SDK tried again by itself"
    assert isinstance(error, kind)
    assert words in str(error)


BEDROCK_FAILURES = [
    (ProviderFailure(400, "ValidationException"), NEVER, "HTTP 400, ValidationException"),
    (ProviderFailure(403, "AccessDeniedException"), NEVER, "credentials"),
    (ProviderFailure(404, "ResourceNotFoundException"), NEVER, "does not know the model"),
    (ProviderFailure(408, "ModelTimeoutException"), AGAIN, "HTTP 408"),
    (ProviderFailure(424, "ModelErrorException"), AGAIN, "HTTP 424"),
    (ProviderFailure(429, "ThrottlingException"), AGAIN, "HTTP 429"),
    (ProviderFailure(500, "InternalServerException"), AGAIN, "HTTP 500"),
    (ProviderFailure(503, "ServiceUnavailableException"), AGAIN, "HTTP 503"),
    (ConverseResponse(text=["a"], exception="throttlingException"), AGAIN, "HTTP 429"),
    (ConverseResponse(text=["a"], exception="modelStreamErrorException"), AGAIN, "HTTP 424"),
    (ConverseResponse(text=["a"], exception="internalServerException"), AGAIN, "HTTP 500"),
    (ConverseResponse(text=["a"], exception="serviceUnavailableException"), AGAIN, "HTTP 503"),
    (ConverseResponse(text=["a"], exception="validationException"), NEVER, "HTTP 400"),
    (ConverseResponse(text=["a"], cut=True), AGAIN, "connection"),
    (ConverseResponse(text=["a"], stop_reason=""), AGAIN, "connection"),
    (ConverseResponse(text=["a"], stop_reason="content_filtered"), NEVER, "content filter"),
    (
        ConverseResponse(text=["a"], stop_reason="guardrail_intervened"),
        GuardrailIntervenedError,
        "guardrail",
    ),
]


@pytest.mark.parametrize(("scripted", "kind", "words"), BEDROCK_FAILURES)
def test_bedrock_errors(scripted: Any, kind: type[RunyardError], words: str) -> None:
    with BedrockServer(scripted) as server:
        error = failure_of("bedrock", server.url)
        assert len(server.received) == 1, "botocore tried again by itself"
    assert isinstance(error, kind)
    assert words in str(error)


ANTHROPIC_FAILURES = [
    (ProviderFailure(400, "invalid_request_error"), NEVER, "HTTP 400"),
    (ProviderFailure(401, "authentication_error"), NEVER, "credentials"),
    (ProviderFailure(429, "rate_limit_error"), AGAIN, "HTTP 429"),
    (ProviderFailure(529, "overloaded_error"), AGAIN, "overloaded"),
    (Message(text=["a"], error="overloaded_error"), AGAIN, "overloaded"),
    (Message(text=["a"], cut=True), AGAIN, "connection"),
    (Message(text=["a"], stop_reason="refusal"), NEVER, "content filter"),
]


@pytest.mark.parametrize(("scripted", "kind", "words"), ANTHROPIC_FAILURES)
def test_anthropic_errors(scripted: Any, kind: type[RunyardError], words: str) -> None:
    with AnthropicServer(scripted) as server:
        error = failure_of("anthropic", server.url)
        assert len(server.received) == 1, "the SDK tried again by itself"
    assert isinstance(error, kind)
    assert words in str(error)


def test_retry_after_of_the_provider_is_reported() -> None:
    with (
        OpenAIServer(ProviderFailure(429, retry_after="7")) as openai,
        BedrockServer(ProviderFailure(429, "ThrottlingException", retry_after="3")) as bedrock,
        AnthropicServer(ProviderFailure(429, "rate_limit_error", retry_after="5")) as anthropic,
    ):
        errors = [
            failure_of("openai", openai.base_url),
            failure_of("bedrock", bedrock.url),
            failure_of("anthropic", anthropic.url),
        ]
    assert [getattr(error, "retry_after", None) for error in errors] == [7.0, 3.0, 5.0]


@pytest.mark.parametrize("provider", ["openai", "anthropic", "bedrock"])
def test_an_unreachable_server_is_a_retryable_error(provider: str) -> None:
    with LoopbackServer(lambda received, exchange: None) as server:
        url = server.url
    assert isinstance(failure_of(provider, url), ModelUnavailableError)


TOOL_INPUT = {"contentBlockIndex": 0, "delta": {"toolUse": {"input": "{}"}}}
NOT_THE_PROTOCOL = [
    ("openai", "text/html", b"<html>"),
    ("openai", "application/json", b"{}"),
    ("openai", "text/event-stream", b""),
    ("openai", "text/event-stream", b"data: not json\n\n"),
    ("openai", "text/event-stream", b"data: 5\n\n"),
    ("openai", "text/event-stream", b'data: {"choices": [5]}\n\n'),
    ("anthropic", "text/html", b"<html>"),
    ("anthropic", "text/event-stream", b"event: message_start\ndata: {\n\n"),
    ("bedrock", "text/html", b"<html>"),
    ("bedrock", "application/vnd.amazon.eventstream", b"no event" * 20),
    ("bedrock", "application/vnd.amazon.eventstream", encode_event("messageStart", {})[:-3]),
    (
        "bedrock",
        "application/vnd.amazon.eventstream",
        encode_event("contentBlockDelta", TOOL_INPUT),
    ),
]


@pytest.mark.parametrize(("provider", "content_type", "body"), NOT_THE_PROTOCOL)
def test_a_response_in_another_protocol_is_an_error(
    provider: str, content_type: str, body: bytes
) -> None:
    def answer(received: Received, exchange: Exchange) -> None:
        exchange.send(200, body, {"content-type": content_type})

    with LoopbackServer(answer) as server:
        assert isinstance(failure_of(provider, server.url), ModelUnavailableError)


def test_missing_aws_credentials_are_final(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "no-such-file")
    monkeypatch.setenv("AWS_CONFIG_FILE", "no-such-file")
    with BedrockServer() as server:
        error = failure_of("bedrock", server.url)
    assert isinstance(error, ModelRejectedError)


def test_an_error_of_the_reader_is_not_reported_as_a_provider_error() -> None:
    async def read(model: ProviderModel) -> None:
        async for _ in model.stream(REQUEST):
            raise ValueError("the reader's own")

    with OpenAIServer(ChatResponse(text=["a", "b"])) as server:
        model = ProviderModel(Route(model="openai:m", base_url=server.base_url))
        with pytest.raises(ValueError, match="own"):
            asyncio.run(read(model))
