"""Test what the Responses API, Gemini and Mistral get in a request: settings, tools, files."""

import asyncio
import base64
import json
from dataclasses import replace
from typing import Any

import httpx2
import pydantic_ai.messages
import pytest
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition

from runyard_service.agents.definitions.model_settings.fields import RequestSettings
from runyard_service.agents.definitions.routes import Route
from runyard_service.agents.models.attachments import for_provider
from runyard_service.agents.models.base import (
    Attachment,
    ModelRequest,
    ReasoningDelta,
    ResponseDelta,
    TokenUsage,
    UserMessage,
)
from runyard_service.agents.models.providers.call_names import derived_id
from runyard_service.agents.models.providers.model import ProviderModel
from runyard_service.agents.models.providers.native.google import GoogleModel
from runyard_service.agents.models.providers.native.mistral import MistralModel
from tests.support.provider_runs import MODELS, VERSIONS
from tests.support.servers.loopback import Received
from tests.support.servers.model_requests import (
    FINAL_OUTPUT,
    FOLLOW_UP,
    LOOKUP,
    REQUEST,
    parts_of,
    response_of,
)
from tests.support.servers.raw_exchanges import RawServer

DONE = {"openai-responses": "p-done", "google": "g-done", "mistral": "m-done"}
ALL = list(DONE)
PNG, PDF = b"\x89PNG\r\n\x1a\n", b"%PDF-1.7 "
FILES = [
    Attachment("id-1", "a.png", "image/png", len(PNG), PNG),
    Attachment("id-2", "a.pdf", "application/pdf", len(PDF), PDF),
    Attachment("id-3", "a.csv", "text/csv", 3, b"a,b"),
]


def sent(provider: str, request: ModelRequest, model: str = "", **fields: Any) -> Any:
    """Return the body of the request to a server of this provider."""
    with RawServer(DONE[provider]) as server:
        route = Route(
            model=model or MODELS[provider], base_url=server.url + VERSIONS[provider], **fields
        )
        response_of(ProviderModel(route, "key"), request)
        return server.received[0].json


@pytest.mark.parametrize("provider", ALL)
def test_text_and_reasoning_are_streamed(provider: str) -> None:
    name = {
        "openai-responses": "p-interleaved",
        "google": "g-interleaved",
        "mistral": "m-thinking-calls",
    }[provider]
    with RawServer(name, chunk_bytes=3) as server:
        route = Route(model=MODELS[provider], base_url=server.url + VERSIONS[provider])
        deltas, response = parts_of(ProviderModel(route, "key"))
    texts = "".join(own.delta for own in deltas if isinstance(own, ResponseDelta))
    thoughts = "".join(own.delta for own in deltas if isinstance(own, ReasoningDelta))
    assert texts == response.message.content == "One moment."
    assert "Look it up." in thoughts
    assert len(deltas) > 3


def test_openai_stores_nothing_and_sends_its_reasoning_encrypted() -> None:
    body = sent("openai-responses", REQUEST)
    assert body["store"] is False
    assert body["include"] == ["reasoning.encrypted_content"]
    assert body["instructions"] == "Be brief."
    assert body["input"] == [{"role": "user", "content": "Hello?"}]
    assert "reasoning" not in body


def test_a_model_without_reasoning_is_not_asked_for_it() -> None:
    assert "include" not in sent("openai-responses", REQUEST, "openai-responses:gpt-4.1")


def test_openai_summarizes_its_reasoning_if_the_route_sets_an_effort() -> None:
    body = sent("openai-responses", REQUEST, "openai-responses:new-model", reasoning="high")
    assert body["reasoning"] == {"effort": "high", "summary": "auto"}
    assert body["include"] == ["reasoning.encrypted_content"]


GEMINI_EFFORTS = [
    ("gemini-3-flash-preview", "off", {"thinkingLevel": "MINIMAL"}),
    ("gemini-3-pro-preview", "minimal", {"includeThoughts": True, "thinkingLevel": "LOW"}),
    ("gemini-3-flash-preview", "medium", {"includeThoughts": True, "thinkingLevel": "MEDIUM"}),
    ("gemini-2.5-flash", "off", {"thinkingBudget": 0}),
    ("gemini-2.5-pro", "off", {"thinkingBudget": 128}),
    ("gemini-2.5-pro", "high", {"includeThoughts": True, "thinkingBudget": 24576}),
]


@pytest.mark.parametrize(("model", "reasoning", "expected"), GEMINI_EFFORTS)
def test_gemini_gets_a_level_or_a_number_of_tokens(
    model: str, reasoning: Any, expected: dict[str, Any]
) -> None:
    body = sent("google", REQUEST, f"google:{model}", reasoning=reasoning)
    assert body["generationConfig"]["thinkingConfig"] == expected


@pytest.mark.parametrize(
    ("model", "reasoning", "expected"),
    [
        ("mistral-medium-3.5", "low", "high"),
        ("mistral-medium-3.5", "off", "none"),
        ("mistral-medium-3.5", None, None),
        ("magistral-medium-2509", "high", None),
    ],
)
def test_mistral_gets_all_or_no_reasoning(model: str, reasoning: Any, expected: str | None) -> None:
    body = sent("mistral", REQUEST, f"mistral:{model}", reasoning=reasoning)
    assert body.get("reasoning_effort") == expected


def test_mistral_gets_only_fields_that_it_knows() -> None:
    body = sent("mistral", replace(REQUEST, max_output_tokens=50))
    assert body == {
        "model": "magistral-medium-2509",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello?"},
        ],
        "stream": True,
        "max_tokens": 50,
    }


def test_the_length_is_limited_at_every_provider() -> None:
    request = replace(REQUEST, max_output_tokens=50)
    assert sent("openai-responses", request)["max_output_tokens"] == 50
    assert sent("google", request)["generationConfig"] == {"maxOutputTokens": 50}


def test_a_structured_output_requires_a_call() -> None:
    request = replace(REQUEST, tools=(LOOKUP,), output_tool=FINAL_OUTPUT)
    gemini = sent("google", request)
    assert gemini["toolConfig"] == {"functionCallingConfig": {"mode": "ANY"}}
    (tool,) = gemini["tools"]
    assert [own["name"] for own in tool["functionDeclarations"]] == ["lookup", "final_output"]
    mistral = sent("mistral", request)
    assert mistral["tool_choice"] == "any"
    assert mistral["tools"][0]["function"]["parameters"] == LOOKUP.parameters
    openai = sent("openai-responses", request)
    assert openai["tool_choice"] == "required"
    assert openai["tools"][0]["parameters"] == LOOKUP.parameters


def test_results_precede_a_message_that_was_sent_during_the_calls() -> None:
    """The calls are another model's: without its signature Gemini 3 would reject them."""
    gemini = sent("google", replace(FOLLOW_UP, route="another"))
    assert [content["role"] for content in gemini["contents"]] == ["user", "model", "user", "user"]
    _, model, results, text = (content["parts"] for content in gemini["contents"])
    assert model[1]["functionCall"]["id"] == derived_id("id-1")
    assert base64.b64decode(model[1]["thoughtSignature"]) == b"skip_thought_signature_validator"
    assert "thoughtSignature" not in model[2]
    responses = [part["functionResponse"]["response"] for part in results]
    assert responses == [{"output": "three feet"}, {"error": "no word given"}]
    assert text == [{"text": "Hurry."}]


def test_mistral_accepts_no_user_message_right_after_a_result() -> None:
    messages = sent("mistral", replace(FOLLOW_UP, route="another"))["messages"]
    roles = [message["role"] for message in messages]
    assert roles == ["system", "user", "assistant", "tool", "tool", "assistant", "user"]
    assert messages[2]["content"] == "Let me see."
    assert [message["content"] for message in messages[3:6]] == [
        "three feet",
        '{"error":"no word given"}',
        "OK",
    ]


@pytest.mark.parametrize("is_encoded", [False, True])
def test_images_and_pdfs_are_the_providers_own_attachments(is_encoded: bool) -> None:
    image, pdf = (base64.b64encode(data).decode() for data in (PNG, PDF))

    def contents(provider: str, name: str) -> list[Any]:
        own = provider.removesuffix("-responses")
        files = [for_provider(file, own) for file in FILES] if is_encoded else FILES
        message = sent(provider, ModelRequest("Be brief.", [UserMessage("Look.", files)]))
        found = next(own for own in message[name] if own["role"] == "user")
        return [
            part
            for part in found.get("parts") or found["content"]
            if part.get("type") not in ("text", "input_text") and "text" not in part
        ]

    assert contents("google", "contents") == [
        {"inlineData": {"mimeType": "image/png", "data": image}},
        {"inlineData": {"mimeType": "application/pdf", "data": pdf}},
    ]
    assert contents("mistral", "messages") == [
        {"type": "image_url", "image_url": f"data:image/png;base64,{image}"},
        {"type": "document_url", "document_url": f"data:application/pdf;base64,{pdf}"},
    ]
    data = f"data:application/pdf;base64,{pdf}"
    assert contents("openai-responses", "input") == [
        {"type": "input_image", "image_url": f"data:image/png;base64,{image}", "detail": "auto"},
        {"type": "input_file", "file_data": data, "filename": "filename.pdf"},
    ]


def test_a_provider_at_its_own_address_has_listed_prices() -> None:
    """A gateway's address has none: the same name there says nothing about the price."""
    for model in ("openai:gpt-5-mini", "google:gemini-2.5-flash", "mistral:mistral-large-latest"):
        cost = ProviderModel(Route(model=model), "key").cost_of(TokenUsage(1000, 1000))
        assert cost
    own = Route(model="google:gemini-2.5-flash", base_url="http://127.0.0.1:1")
    with RawServer("g-done") as server:
        route = own.model_copy(update={"base_url": server.url})
        assert response_of(ProviderModel(route, "key")).cost_usd is None


SETTINGS = ModelSettings(
    max_tokens=50,
    temperature=0.2,
    top_p=0.9,
    stop_sequences=["END"],
    seed=7,
    service_tier="priority",
    parallel_tool_calls=False,
    tool_choice=["lookup"],
    extra_headers={"Authorization": "Bearer other", "x-team": "a"},
    extra_body={"labels": {"team": "a"}},
)


def sent_with_settings(kind: type[GoogleModel | MistralModel], exchange: str) -> Received:
    """Return a request with all settings that both providers have."""
    parameters = ModelRequestParameters(
        function_tools=[
            ToolDefinition(name=name, parameters_json_schema={"type": "object"})
            for name in ("lookup", "purge")
        ]
    )

    async def send(url: str) -> None:
        async with httpx2.AsyncClient() as http:
            model = kind("a-model", "key", url, http)
            prompt = pydantic_ai.messages.ModelRequest.user_text_prompt("Hello?")
            response = await model.request([prompt], SETTINGS, parameters)
        assert response.text == "Done."

    with RawServer(exchange) as server:
        asyncio.run(send(server.url))
        return server.received[0]


def test_gemini_gets_the_settings_under_its_names() -> None:
    received = sent_with_settings(GoogleModel, "g-done")
    body = received.json
    assert body["generationConfig"] == {
        "maxOutputTokens": 50,
        "temperature": 0.2,
        "topP": 0.9,
        "stopSequences": ["END"],
        "seed": 7,
    }
    calling = {"mode": "ANY", "allowedFunctionNames": ["lookup"]}
    assert body["toolConfig"] == {"functionCallingConfig": calling}
    assert body["serviceTier"] == "priority"
    assert body["labels"] == {"team": "a"}
    assert received.headers["x-team"] == "a"


def test_mistral_gets_the_settings_under_its_names() -> None:
    received = sent_with_settings(MistralModel, "m-done")
    body = received.json
    (tool,) = body.pop("tools")
    assert tool["function"]["name"] == "lookup"
    assert body == {
        "model": "a-model",
        "messages": [{"role": "user", "content": "Hello?"}],
        "stream": True,
        "tool_choice": "any",
        "parallel_tool_calls": False,
        "max_tokens": 50,
        "temperature": 0.2,
        "top_p": 0.9,
        "stop": ["END"],
        "random_seed": 7,
        "labels": {"team": "a"},
    }
    assert received.headers["authorization"] == "Bearer other"


@pytest.mark.parametrize("provider", ALL)
def test_each_provider_gets_the_schema_of_a_native_output(provider: str) -> None:
    settings = RequestSettings(output_mode="native")
    request = replace(REQUEST, tools=(LOOKUP,), output_tool=FINAL_OUTPUT, settings=settings)
    body = json.dumps(sent(provider, request))
    assert json.dumps(FINAL_OUTPUT.parameters) in body
    assert body.count("lookup") == 1


def test_gemini_gets_the_thinking_budget_of_the_route() -> None:
    config = sent("google", REQUEST, thinking_budget=2000)["generationConfig"]
    assert config["thinkingConfig"] == {"includeThoughts": True, "thinkingBudget": 2000}
    assert config["maxOutputTokens"] == 2000 + 4096
