"""Test the model of an OpenAI-compatible server, over real HTTP."""

import uuid
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from runyard_service.agents.definitions.model_settings.fields import RequestSettings
from runyard_service.agents.definitions.routes import Route
from runyard_service.agents.models.base import (
    AssistantMessage,
    ChatMessage,
    ModelRequest,
    ReasoningDelta,
    ResponseDelta,
    Text,
    Thinking,
    TokenUsage,
    ToolCall,
    UserMessage,
)
from runyard_service.agents.models.factory import model_for
from runyard_service.agents.models.providers.model import ProviderModel
from runyard_service.agents.tool_arguments import INVALID_ARGUMENTS
from runyard_service.domain.errors import DefinitionError
from tests.support.servers.model_requests import (
    FINAL_OUTPUT,
    FOLLOW_UP,
    LOOKUP,
    REQUEST,
    events_of,
    parts_of,
    response_of,
)
from tests.support.servers.openai_server import (
    ChatResponse,
    ChatToolCall,
    ChatUsage,
    OpenAIServer,
)


def model_at(server: OpenAIServer, **fields: Any) -> ProviderModel:
    """Return the model of a route to the server."""
    return ProviderModel(Route(model="openai:some-model", base_url=server.base_url, **fields))


def test_a_long_request_arrives_complete_with_its_content_length() -> None:
    words = "é, " * 100_000
    with OpenAIServer(ChatResponse(text=["a"])) as server:
        events_of(model_at(server), ModelRequest("Be brief.", [UserMessage(words)]))
        (received,) = server.received
    assert received.json["messages"][1]["content"] == words
    assert received.headers["content-length"] == str(len(received.body))
    assert "transfer-encoding" not in received.headers


def test_deltas_arrive_in_order_and_the_response_is_their_sum() -> None:
    with OpenAIServer(ChatResponse(reasoning=["Think", "ing."], text=["Hel", "", "lo"])) as server:
        deltas, response = parts_of(model_at(server))
    assert deltas == [
        ReasoningDelta("Think"),
        ReasoningDelta("ing."),
        ResponseDelta("Hel"),
        ResponseDelta("lo"),
    ]
    assert response.message == AssistantMessage(
        (Thinking("Thinking.", id="reasoning_content"), Text("Hello"))
    )
    assert response.model == "some-model"


def test_tool_calls_are_assembled_and_get_new_ids() -> None:
    calls = [ChatToolCall("lookup", ['{"wo', 'rd": "a"}'], id=""), ChatToolCall("lookup", id="")]
    with OpenAIServer(ChatResponse(text=["One moment."], tool_calls=calls)) as server:
        message = response_of(model_at(server), replace(REQUEST, tools=(LOOKUP,))).message
    assert message.content == "One moment."
    assert [(call.name, call.input) for call in message.tool_calls] == [
        ("lookup", {"word": "a"}),
        ("lookup", {}),
    ]
    first, second = (uuid.UUID(call.id) for call in message.tool_calls)
    assert first.version == 4
    assert first != second


@pytest.mark.parametrize("arguments", ['{"word": ', "[1]", '"text"', '{"n": NaN}', '"\\ud83d"'])
def test_arguments_that_are_not_a_json_object_are_stored_unchanged(arguments: str) -> None:
    with OpenAIServer(ChatResponse(tool_calls=[ChatToolCall("lookup", [arguments])])) as server:
        message = response_of(model_at(server)).message
    assert message.tool_calls[0].input == {INVALID_ARGUMENTS: arguments}


@pytest.mark.parametrize("arguments", ["", " ", "{}"])
def test_no_arguments_are_an_empty_object(arguments: str) -> None:
    with OpenAIServer(ChatResponse(tool_calls=[ChatToolCall("lookup", [arguments])])) as server:
        assert response_of(model_at(server)).message.tool_calls[0].input == {}


def test_text_that_cannot_be_stored_is_sanitized() -> None:
    with OpenAIServer(ChatResponse(text=["\ud83d", "!"])) as server:
        deltas, response = parts_of(model_at(server))
    assert deltas == [ResponseDelta("?!")]
    assert response.message.content == "?!"


def test_usage_and_the_routes_own_prices() -> None:
    usage = ChatUsage(prompt=1000, completion=20, cached=300)
    with OpenAIServer(ChatResponse(text=["a"], usage=usage)) as server:
        model = model_at(server, input_usd_per_million="0.15", output_usd_per_million="0.6")
        response = response_of(model)
    assert response.usage == TokenUsage(1000, 20, 300)
    assert response.cost_usd == Decimal("0.000162")


def test_the_price_is_known_before_the_response() -> None:
    usage = TokenUsage(1000, 20, 300)
    prices = {"input_usd_per_million": "0.15", "output_usd_per_million": "0.6"}
    own = ProviderModel(Route.model_validate({"model": "openai:gpt-5-mini", **prices}))
    assert own.cost_of(usage) == Decimal("0.000162")
    listed = ProviderModel(Route(model="openai:gpt-5-mini"))
    whole, cached = listed.cost_of(TokenUsage(1000, 20)), listed.cost_of(usage)
    assert whole is not None
    assert cached is not None
    assert 0 < cached < whole < Decimal("0.01")
    elsewhere = Route(model="openai:gpt-5-mini", base_url="http://127.0.0.1:9/v1")
    assert ProviderModel(elsewhere).cost_of(usage) is None
    assert ProviderModel(Route(model="openai:no-such-model")).cost_of(usage) is None


@pytest.mark.parametrize(
    ("model", "cache", "factor"),
    [
        ("anthropic:claude-haiku-4-5", "5m", "1.25"),
        ("anthropic:claude-haiku-4-5", "1h", "2"),
        ("anthropic:claude-haiku-4-5", "off", "1"),
        ("bedrock:eu.anthropic.claude-haiku-4-5-20251001-v1:0", "1h", "2"),
        ("openai:gpt-5-mini", "5m", "1"),
        ("openai:gpt-5.6", "5m", "1.25"),
    ],
)
@pytest.mark.parametrize("has_prices", [True, False])
def test_a_budget_reserves_the_price_of_a_cache_write(
    model: str, cache: str, factor: str, has_prices: bool
) -> None:
    prices = {"input_usd_per_million": "2", "output_usd_per_million": "8"} if has_prices else {}
    if has_prices and model == "openai:gpt-5.6":
        prices["cache_write_usd_per_million"] = "2.5"
    provider = ProviderModel(Route.model_validate({"model": model, **prices}))
    request = replace(REQUEST, settings=RequestSettings.model_validate({"cache": cache}))
    most = provider.max_usage(request)
    output = provider.cost_of(TokenUsage(0, most.output_tokens))
    plain = provider.cost_of(TokenUsage(most.input_tokens, most.output_tokens))
    reserved = provider.cost_of(most)
    assert output is not None
    assert plain is not None
    assert reserved is not None
    assert reserved - output == (plain - output) * Decimal(factor)


def test_a_thinking_budget_is_reserved_with_the_response() -> None:
    route = Route(model="anthropic:claude-haiku-4-5", thinking_budget=10_000)
    assert ProviderModel(route).max_usage(REQUEST).output_tokens == 10_000 + 4096


@pytest.mark.parametrize(
    "response",
    [ChatResponse(text=["a"]), ChatResponse(tool_calls=[ChatToolCall("lookup", ['{"word": 1}'])])],
)
def test_a_truncated_response_is_marked_as_truncated(response: ChatResponse) -> None:
    with OpenAIServer(response, replace(response, finish_reason="length")) as server:
        model = model_at(server)
        assert [response_of(model).is_truncated for _ in range(2)] == [False, True]


@pytest.mark.parametrize(
    ("arguments", "is_truncated"),
    [
        *(('{"word": ', True), ('{"word": "a', True), ('{"a": [1, {"b": tru', True), ("{", True)),
        *(('{"n": NaN}', False), ("[1", False), ('{"a": 1} x', False), ("{a: 1}", False)),
        *(('{"a": 1,}', False), ('"te', False), ("{}", False), ("", False)),
    ],
)
def test_incomplete_arguments_mean_that_the_response_was_truncated(
    arguments: str, is_truncated: bool
) -> None:
    with OpenAIServer(ChatResponse(tool_calls=[ChatToolCall("lookup", [arguments])])) as server:
        assert response_of(model_at(server)).is_truncated is is_truncated


def test_a_price_is_not_guessed_from_a_models_name_at_another_address() -> None:
    with OpenAIServer(ChatResponse(text=["a"])) as server:
        route = Route(model="openai:gpt-4o", base_url=server.base_url)
        assert response_of(ProviderModel(route)).cost_usd is None


def test_tokens_that_were_not_counted_have_no_price() -> None:
    with OpenAIServer(ChatResponse(text=["a"], usage=None)) as server:
        response = response_of(model_at(server, input_usd_per_million=1, output_usd_per_million=1))
    assert (response.usage, response.cost_usd) == (None, None)


def test_the_provider_gets_results_right_after_their_calls_under_the_same_ids() -> None:
    with OpenAIServer(ChatResponse(text=["a"])) as server:
        response_of(model_at(server), FOLLOW_UP)
        messages = server.received[0].json["messages"]
    assert [message["role"] for message in messages] == [
        "system",
        "user",
        "assistant",
        "tool",
        "tool",
        "user",
    ]
    assert messages[0]["content"] == "Be brief."
    assert [call["id"] for call in messages[2]["tool_calls"]] == ["own-1", "own-2"]
    assert [(m["tool_call_id"], m["content"]) for m in messages[3:5]] == [
        ("own-1", "three feet"),
        ("own-2", '{"error":"no word given"}'),
    ]
    assert messages[5]["content"] == "Hurry."


def test_a_response_is_sent_back_with_reasoning_in_the_field_of_the_server() -> None:
    call = ChatToolCall("lookup", ['{"word": "a"}'])
    responses = (ChatResponse(reasoning=["Hm."], tool_calls=[call]), ChatResponse(text=["Done."]))
    with OpenAIServer(*responses) as server:
        first = response_of(model_at(server)).message
        response_of(model_at(server), replace(REQUEST, messages=[UserMessage("Hello?"), first]))
        assistant = server.received[1].json["messages"][2]
    assert assistant["reasoning_content"] == "Hm."
    assert assistant["tool_calls"][0]["id"] == "call_1"


def test_the_request_has_the_expected_parameters() -> None:
    with OpenAIServer(*[ChatResponse(text=["a"])] * 3) as server:
        model = model_at(server)
        response_of(model, replace(REQUEST, tools=(LOOKUP,), max_output_tokens=99))
        response_of(model, replace(REQUEST, tools=(LOOKUP,), output_tool=FINAL_OUTPUT))
        response_of(ProviderModel(Route(model="openai:m", base_url=server.base_url), "a-key"))
        plain, structured, keyed = server.received
    assert plain.json["tool_choice"] == "auto"
    assert plain.json["max_tokens"] == 99
    assert plain.json["tools"][0]["function"] == {
        "name": "lookup",
        "description": "Looks a word up.",
        "parameters": LOOKUP.parameters,
    }
    assert structured.json["tool_choice"] == "required"
    assert [tool["function"]["name"] for tool in structured.json["tools"]] == [
        "lookup",
        "final_output",
    ]
    assert structured.json["tools"][1]["function"]["parameters"] == FINAL_OUTPUT.parameters
    assert keyed.headers["authorization"] == "Bearer a-key"


@pytest.mark.parametrize(
    ("reasoning", "effort"),
    [(None, None), ("off", "none"), ("minimal", "minimal"), ("high", "high")],
)
def test_the_server_gets_the_reasoning_effort(reasoning: str | None, effort: str | None) -> None:
    with OpenAIServer(ChatResponse(text=["a"])) as server:
        response_of(model_at(server, reasoning=reasoning))
        assert server.received[0].json.get("reasoning_effort") == effort


def test_a_key_from_the_environment_is_not_sent_to_another_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret-of-openai")
    with OpenAIServer(ChatResponse(text=["a"])) as server:
        response_of(model_at(server))
        assert "secret-of-openai" not in server.received[0].headers["authorization"]


def test_a_route_to_openai_itself_needs_a_key() -> None:
    with pytest.raises(DefinitionError):
        events_of(model_for(Route(model="openai:gpt-4o"), None, None))


def test_an_empty_message_is_omitted() -> None:
    messages: list[ChatMessage] = [
        UserMessage("Hello?"),
        AssistantMessage(),
        UserMessage("Are you there?"),
    ]
    with OpenAIServer(ChatResponse(text=["a"])) as server:
        response_of(model_at(server), replace(REQUEST, messages=messages))
        roles = [message["role"] for message in server.received[0].json["messages"]]
    assert roles == ["system", "user", "user"]


def test_a_call_with_rejected_arguments_can_be_sent_back() -> None:
    call = ToolCall("id-1", "lookup", {INVALID_ARGUMENTS: "{"})
    turns: list[ChatMessage] = [UserMessage("Hello?"), AssistantMessage((call,))]
    with OpenAIServer(ChatResponse(text=["a"])) as server:
        response_of(model_at(server), replace(REQUEST, messages=turns))
        sent = server.received[0].json["messages"][2]["tool_calls"][0]["function"]
    assert sent["arguments"] == '{"__invalid_arguments__":"{"}'
