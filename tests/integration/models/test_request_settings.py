"""What each provider receives for the settings of an agent and a route, over real HTTP."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from runyard_service.adapters.stores import Stores
from runyard_service.agents.definitions.model_settings.fields import RequestSettings
from runyard_service.agents.definitions.routes import Route
from runyard_service.agents.models.base import ModelRequest, Response, TokenUsage
from runyard_service.agents.models.providers.clients import open_model
from runyard_service.agents.models.providers.model import ProviderModel
from runyard_service.domain.errors import (
    DefinitionError,
    GuardrailIntervenedError,
    ModelRejectedError,
)
from tests.support.provider_runs import ToolServer, agent_at, run_to_end
from tests.support.servers.anthropic_server import AnthropicServer, Message
from tests.support.servers.bedrock_server import BedrockServer, ConverseResponse
from tests.support.servers.loopback import Received
from tests.support.servers.model_requests import FINAL_OUTPUT, LOOKUP, REQUEST, response_of
from tests.support.servers.model_server import ProviderFailure
from tests.support.servers.openai_server import ChatResponse, OpenAIServer
from tests.support.servers.raw_exchanges import RawResponse, RawServer

pytestmark = pytest.mark.usefixtures("bedrock_credentials")

WITH_TOOL = replace(REQUEST, tools=(LOOKUP,))
WITH_OUTPUT = replace(WITH_TOOL, output_tool=FINAL_OUTPUT)
VARIABLES = {"TEAM": "blue-team"}


def with_settings(request: ModelRequest = WITH_TOOL, **fields: Any) -> ModelRequest:
    return replace(request, settings=RequestSettings.model_validate(fields))


def to_openai(request: ModelRequest, **route: Any) -> Received:
    """Return what an OpenAI-compatible server receives."""
    with OpenAIServer(ChatResponse(text=["a"])) as server:
        own = Route(model="openai:some-model", base_url=server.base_url, **route)
        response_of(ProviderModel(own, "key", VARIABLES), request)
        return server.received[0]


def to_anthropic(request: ModelRequest, **route: Any) -> Received:
    """Return what an Anthropic server receives."""
    with AnthropicServer(Message(text=["a"])) as server:
        own = Route(model="anthropic:claude-haiku-4-5", base_url=server.url, **route)
        response_of(ProviderModel(own, "key", VARIABLES), request)
        return server.received[0]


def to_bedrock(request: ModelRequest, **route: Any) -> Received:
    """Return what a Bedrock server receives."""
    with BedrockServer(ConverseResponse(text=["a"])) as server:
        model = "bedrock:eu.anthropic.claude-haiku-4-5-20251001-v1:0"
        own = Route(model=model, base_url=server.url, region="eu-west-1", **route)
        response_of(ProviderModel(own, None, VARIABLES), request)
        return server.received[0]


SAMPLING: dict[str, Any] = {"temperature": 0.5, "top_p": 0.9, "stop": ["END"], "seed": 7}


def test_openai_gets_the_settings_of_the_agent() -> None:
    body = to_openai(with_settings(**SAMPLING, service_tier="flex", parallel_tool_calls=False)).json
    assert {name: body[name] for name in SAMPLING} == SAMPLING
    assert (body["service_tier"], body["parallel_tool_calls"]) == ("flex", False)


def test_anthropic_gets_the_settings_that_it_takes() -> None:
    body = to_anthropic(
        with_settings(**SAMPLING, service_tier="default", parallel_tool_calls=False)
    ).json
    assert (body["temperature"], body["top_p"], body["stop_sequences"]) == (0.5, 0.9, ["END"])
    assert body["service_tier"] == "standard_only"
    assert body["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert "seed" not in body


def test_bedrock_gets_the_settings_that_it_takes() -> None:
    guardrail = {"id": "gr-1", "version": 2}
    body = to_bedrock(with_settings(**SAMPLING, service_tier="flex", guardrail=guardrail)).json
    sampling = {"temperature": 0.5, "topP": 0.9, "stopSequences": ["END"]}
    assert body["inferenceConfig"].items() >= sampling.items()
    assert body["serviceTier"] == {"type": "flex"}
    assert body["guardrailConfig"] == {"guardrailIdentifier": "gr-1", "guardrailVersion": "2"}
    assert "seed" not in str(body)


@pytest.mark.parametrize(
    ("choice", "openai", "anthropic", "bedrock"),
    [
        ("auto", "auto", {"type": "auto"}, {"auto": {}}),
        ("required", "required", {"type": "any"}, {"any": {}}),
        ("none", "none", {"type": "none"}, None),
        (
            ["lookup"],
            {"type": "function", "function": {"name": "lookup"}},
            {"type": "tool", "name": "lookup"},
            {"tool": {"name": "lookup"}},
        ),
    ],
)
def test_each_provider_gets_the_tool_choice(
    choice: Any, openai: Any, anthropic: Any, bedrock: Any
) -> None:
    other = replace(LOOKUP, name="other")
    request = with_settings(replace(REQUEST, tools=(LOOKUP, other)), tool_choice=choice)
    assert to_openai(request).json["tool_choice"] == openai
    assert to_anthropic(request).json["tool_choice"] == anthropic
    received = to_bedrock(request).json.get("toolConfig", {})
    assert received.get("toolChoice") == bedrock


def test_with_an_output_tool_a_call_is_required_unless_the_agent_chooses_auto() -> None:
    assert to_openai(WITH_OUTPUT).json["tool_choice"] == "required"
    chosen = with_settings(WITH_OUTPUT, tool_choice="auto")
    assert to_openai(chosen).json["tool_choice"] == "auto"


def test_a_tool_choice_that_names_no_tool_is_an_error() -> None:
    with pytest.raises(DefinitionError, match="tool_choice names no tool of the agent: gone"):
        to_openai(with_settings(tool_choice=["gone"]))


def test_a_native_output_is_asked_for_by_its_schema() -> None:
    request = with_settings(WITH_OUTPUT, output_mode="native")
    openai = to_openai(request).json
    assert openai["response_format"]["type"] == "json_schema"
    assert openai["response_format"]["json_schema"] == {
        "name": "final_output",
        "description": FINAL_OUTPUT.description,
        "schema": FINAL_OUTPUT.parameters,
    }
    assert openai["tool_choice"] == "auto"
    assert [tool["function"]["name"] for tool in openai["tools"]] == ["lookup"]
    anthropic = to_anthropic(request).json
    assert anthropic["output_config"]["format"]["type"] == "json_schema"
    assert anthropic["tool_choice"] == {"type": "auto"}
    bedrock = to_bedrock(request).json
    assert bedrock["outputConfig"]["textFormat"]["type"] == "json_schema"
    assert bedrock["toolConfig"]["toolChoice"] == {"auto": {}}


def test_a_route_adds_headers_and_fields_with_values_of_the_installation() -> None:
    extras: dict[str, Any] = {
        "extra_headers": {"x-team": "${TEAM}", "x-plain": "$ {a}"},
        "extra_body": {"top_k": 5, "metadata": {"user_id": "${TEAM}"}},
    }
    for received in (to_openai(WITH_TOOL, **extras), to_anthropic(WITH_TOOL, **extras)):
        assert (received.headers["x-team"], received.headers["x-plain"]) == ("blue-team", "$ {a}")
        assert received.json["top_k"] == 5
        assert received.json["metadata"] == {"user_id": "blue-team"}
        assert received.json["tools"]
    bedrock = to_bedrock(WITH_TOOL, **extras)
    assert bedrock.headers["x-team"] == "blue-team"
    assert bedrock.json["additionalModelRequestFields"] == {
        "top_k": 5,
        "metadata": {"user_id": "blue-team"},
    }


def test_an_unknown_variable_of_a_route_is_an_error_that_names_it() -> None:
    with pytest.raises(DefinitionError, match=r"\$\{TEEM\}, which is not in AGENT_VARIABLES"):
        to_openai(WITH_TOOL, extra_headers={"x-team": "${TEEM}"})


def test_the_words_of_a_provider_do_not_contain_values_of_the_installation() -> None:
    body = b'{"error": {"message": "no such team: blue-team"}}'
    head = b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nConnection: close"
    with RawServer(RawResponse(head, body)) as server:
        route = Route(model="openai:m", base_url=server.url, extra_headers={"x-team": "${TEAM}"})
        with pytest.raises(ModelRejectedError) as error:
            response_of(ProviderModel(route, "key", VARIABLES))
    assert error.value.provider is not None
    assert error.value.provider.message == "no such team: [masked]"


@pytest.mark.parametrize(
    ("route", "field"),
    [
        ({}, "max_tokens"),
        ({"max_tokens_field": "max_tokens"}, "max_tokens"),
        ({"max_tokens_field": "max_completion_tokens"}, "max_completion_tokens"),
    ],
)
def test_the_route_names_the_field_of_the_longest_response(
    route: dict[str, Any], field: str
) -> None:
    body = to_openai(replace(REQUEST, max_output_tokens=99), **route).json
    limits = {name: value for name, value in body.items() if name.endswith("_tokens")}
    assert limits == {field: 99}


def test_a_route_can_leave_the_stream_options_out() -> None:
    assert to_openai(REQUEST).json["stream_options"] == {"include_usage": True}
    assert "stream_options" not in to_openai(REQUEST, stream_options=False).json


def test_anthropic_gets_the_thinking_budget_as_a_part_of_the_response() -> None:
    body = to_anthropic(WITH_TOOL, thinking_budget=2000).json
    assert body["thinking"] == {"type": "enabled", "budget_tokens": 2000}
    assert body["max_tokens"] == 2000 + 4096
    shortened = to_anthropic(replace(WITH_TOOL, max_output_tokens=1500), thinking_budget=2000).json
    assert shortened["thinking"]["budget_tokens"] == 1500 - 256
    assert shortened["max_tokens"] == 1500
    assert (
        "thinking"
        not in to_anthropic(replace(WITH_TOOL, max_output_tokens=600), thinking_budget=2000).json
    )


def test_a_model_that_thinks_is_not_forced_to_call_its_output_tool() -> None:
    body = to_anthropic(WITH_OUTPUT, thinking_budget=2000).json
    assert body["tool_choice"] == {"type": "auto"}
    bedrock = to_bedrock(WITH_OUTPUT, thinking_budget=2000).json
    assert bedrock["toolConfig"]["toolChoice"] == {"auto": {}}


@pytest.mark.parametrize(
    ("address", "takes"),
    [
        ("https://a.openai.azure.com/openai/v1", True),
        ("https://a.services.ai.azure.com/openai/v1", True),
        ("https://a.cognitiveservices.azure.com/openai/v1", True),
        ("https://a.services.ai.azure.com/models", False),
        ("https://openai.com.example/v1", False),
    ],
)
def test_openai_models_get_max_completion_tokens(address: str, takes: bool) -> None:
    async def profile() -> Any:
        async with open_model(Route(model="openai:m", base_url=address), "key") as model:
            return model.profile

    supported = asyncio.run(profile())["openai_chat_supports_max_completion_tokens"]
    assert supported is takes


def test_bedrock_gets_the_thinking_budget_and_other_fields() -> None:
    body = to_bedrock(WITH_TOOL, thinking_budget=2000, extra_body={"top_k": 5}).json
    thinking = {"type": "enabled", "budget_tokens": 2000}
    assert body["additionalModelRequestFields"] == {"top_k": 5, "thinking": thinking}


def test_a_guardrail_that_intervenes_has_its_own_error() -> None:
    blocked = ConverseResponse(text=["Blocked."], stop_reason="guardrail_intervened")
    with BedrockServer(blocked) as server:
        model = "bedrock:eu.anthropic.claude-haiku-4-5-20251001-v1:0"
        route = Route(model=model, base_url=server.url, region="eu-west-1")
        with pytest.raises(GuardrailIntervenedError) as error:
            response_of(ProviderModel(route))
    assert error.value.code == "guardrail_intervened"


def usage_of(**route: Any) -> Response:
    """Return the response of the case `o9`, which counts in each of five chunks."""
    with RawServer("o9-usage-every-chunk") as server:
        return response_of(
            ProviderModel(Route(model="openai:m", base_url=server.url, **route), "k")
        )


def test_counts_in_a_stream_are_totals_unless_the_route_says_increments() -> None:
    assert usage_of().usage == TokenUsage(1000, 3)
    assert usage_of(stream_usage="increments").usage == TokenUsage(5000, 12)


class _ThinkingServer(OpenAIServer):
    """Reject a request that requires a tool call, as many models that think do."""

    def __init__(self) -> None:
        super().__init__(choose=self._choose)

    def _choose(self, received: Received) -> ChatResponse | ProviderFailure:
        if received.json.get("tool_choice") == "required":
            message = "tool_choice 'required' is not supported in thinking mode"
            return ProviderFailure(400, "invalid_parameter", message)
        return ChatResponse(reasoning=["Hm."], text=['{"answer": ', "42}"])


def test_a_thinking_model_returns_a_native_output(stores: Stores) -> None:
    schema = {"type": "object", "properties": {"answer": {"type": "integer"}}}
    with _ThinkingServer() as server, ToolServer() as tools:
        forced = agent_at(server.url, "openai", output_schema=schema)
        assert run_to_end(stores, forced, tools)[-1].data["error"]["code"] == "model_rejected"
        native = agent_at(server.url, "openai", output_schema=schema, output_mode="native")
        end = run_to_end(stores, native, tools)[-1]
    assert end.data["output"] == {"answer": 42}


def test_a_run_that_its_guardrail_stops_fails_at_once(stores: Stores) -> None:
    blocked = ConverseResponse(text=["Blocked."], stop_reason="guardrail_intervened")
    with BedrockServer(blocked) as server, ToolServer() as tools:
        agent = agent_at(server.url, "bedrock", guardrail={"id": "g", "version": "1"})
        events = run_to_end(stores, agent, tools)
        assert len(server.received) == 1
    assert events[-1].data["error"] == {
        "code": "guardrail_intervened",
        "message": "The agent's guardrail blocked the request or the response.",
    }
