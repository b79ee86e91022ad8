"""Test which API a route calls its model with."""

import pytest
from pydantic import ValidationError

from runyard_service.agents.definitions.routes import Route

GATEWAY = "https://gateway.example/v1"


@pytest.mark.parametrize(
    ("model", "base_url", "provider", "api"),
    [
        ("openai:gpt-5", None, "openai", "openai-responses"),
        ("openai:gpt-5", "https://api.openai.com/v1", "openai", "openai-responses"),
        ("openai:gpt-5", "https://eu.api.openai.com/v1", "openai", "openai-responses"),
        ("openai:gpt-5", GATEWAY, "openai", "openai-chat"),
        ("openai:gpt-5", "https://api.openai.com.example/v1", "openai", "openai-chat"),
        ("openai:gpt-5", "https://x.openai.azure.com/openai/v1", "openai", "openai-chat"),
        ("openai-chat:gpt-5", None, "openai", "openai-chat"),
        ("openai-responses:gpt-5", GATEWAY, "openai", "openai-responses"),
        ("google:gemini-3-pro", None, "google", "google"),
        ("mistral:ministral-8b", GATEWAY, "mistral", "mistral"),
        ("anthropic:claude", None, "anthropic", "anthropic"),
        ("bedrock:amazon.nova:0", None, "bedrock", "bedrock"),
        ("scripted:tale", None, "scripted", "scripted"),
    ],
)
def test_a_route_has_a_provider_and_an_api(
    model: str, base_url: str | None, provider: str, api: str
) -> None:
    route = Route(model=model, base_url=base_url)
    assert (route.provider, route.api) == (provider, api)


@pytest.mark.parametrize("model", ["openai-realtime:x", "gemini:x", "google", "google:", "openai-"])
def test_an_unknown_api_is_rejected(model: str) -> None:
    with pytest.raises(ValidationError):
        Route(model=model)
