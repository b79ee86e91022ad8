"""Test the models of Bedrock and Anthropic, over real HTTP in their own protocols."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from runyard_service.agents.definitions.model_settings.fields import RequestSettings
from runyard_service.agents.definitions.routes import Route
from runyard_service.agents.models.base import (
    AssistantMessage,
    ModelRequest,
    ReasoningDelta,
    ResponseDelta,
    Text,
    Thinking,
    TokenUsage,
    ToolCall,
    ToolOutcome,
    UserMessage,
)
from runyard_service.agents.models.providers.call_names import derived_id
from runyard_service.agents.models.providers.model import ProviderModel
from runyard_service.agents.tool_arguments import INVALID_ARGUMENTS
from runyard_service.domain.errors import DefinitionError, ModelUnavailableError
from tests.support.servers.anthropic_server import AnthropicServer, Message
from tests.support.servers.bedrock_server import (
    BedrockServer,
    ConverseResponse,
    ConverseToolUse,
    ConverseUsage,
)
from tests.support.servers.model_requests import (
    FINAL_OUTPUT,
    FOLLOW_UP,
    LOOKUP,
    REQUEST,
    events_of,
    parts_of,
    response_of,
)

pytestmark = pytest.mark.usefixtures("bedrock_credentials")

CLAUDE_ON_BEDROCK = "eu.anthropic.claude-haiku-4-5-20251001-v1:0"
CLAUDE = "claude-haiku-4-5"


def bedrock_at(server: BedrockServer, **fields: Any) -> ProviderModel:
    """Return the model of a route to the server."""
    return ProviderModel(Route(model=f"bedrock:{CLAUDE_ON_BEDROCK}", base_url=server.url, **fields))


def anthropic_at(server: AnthropicServer, **fields: Any) -> ProviderModel:
    """Return the model of a route to the server."""
    route = Route(model=f"anthropic:{CLAUDE}", base_url=server.url, **fields)
    return ProviderModel(route, "a-key")


def test_bedrock_streams_reasoning_text_and_usage() -> None:
    scripted = ConverseResponse(
        reasoning=["Think", "ing."],
        signature="signed",
        text=["Hel", "lo"],
        usage=ConverseUsage(100, 20, cache_read=30),
    )
    with BedrockServer(scripted) as server:
        deltas, response = parts_of(bedrock_at(server))
    assert deltas == [
        ReasoningDelta("Think"),
        ReasoningDelta("ing."),
        ResponseDelta("Hel"),
        ResponseDelta("lo"),
    ]
    assert response.message.content == "Hello"
    assert response.message.parts[0] == Thinking("Thinking.", "signed")
    assert response.usage == TokenUsage(130, 20, 30)
    assert response.model == CLAUDE_ON_BEDROCK
    assert response.cost_usd is not None
    assert Decimal(response.cost_usd) > 0


def test_bedrock_gets_the_reasoning_effort() -> None:
    with BedrockServer(*[ConverseResponse(text=["a"])] * 2) as server:
        response_of(bedrock_at(server, reasoning="off"))
        response_of(bedrock_at(server, reasoning="high"))
        off, high = (received.json["additionalModelRequestFields"] for received in server.received)
    assert off["thinking"] == {"type": "disabled"}
    assert high["thinking"] == {"type": "enabled", "budget_tokens": 16384}


def test_bedrock_tool_calls_are_assembled_from_deltas() -> None:
    uses = [
        ConverseToolUse("lookup", ['{"wo', 'rd": "a"}']),
        ConverseToolUse("lookup", [""]),
        ConverseToolUse("lookup", ['{"wor']),
    ]
    with BedrockServer(ConverseResponse(text=["One moment."], tool_uses=uses)) as server:
        message = response_of(bedrock_at(server), replace(REQUEST, tools=(LOOKUP,))).message
    assert [call.input for call in message.tool_calls] == [
        {"word": "a"},
        {},
        {INVALID_ARGUMENTS: '{"wor'},
    ]
    assert len({call.id for call in message.tool_calls}) == 3


def test_bedrock_gets_the_history_and_the_tools() -> None:
    follow_up = replace(FOLLOW_UP, settings=RequestSettings(cache="off"))
    with BedrockServer(*[ConverseResponse(text=["a"])] * 2) as server:
        response_of(bedrock_at(server), follow_up)
        response_of(bedrock_at(server), replace(follow_up, output_tool=FINAL_OUTPUT))
        plain, structured = (received.json for received in server.received)
    assert plain["system"] == [{"text": "Be brief."}]
    user, assistant, results = plain["messages"]
    assert user["content"] == [{"text": "What is a yard?"}]
    assert [block["toolUse"]["toolUseId"] for block in assistant["content"][2:]] == [
        "own-1",
        "own-2",
    ]
    first, second, spoken = results["content"]
    assert first["toolResult"]["toolUseId"] == "own-1"
    assert first["toolResult"]["status"] == "success"
    assert second["toolResult"]["content"] == [{"text": "no word given"}]
    assert second["toolResult"]["status"] == "error"
    assert spoken == {"text": "Hurry."}
    assert plain["toolConfig"]["toolChoice"] == {"auto": {}}
    assert structured["toolConfig"]["toolChoice"] == {"any": {}}
    assert len(structured["toolConfig"]["tools"]) == 2


def test_bedrock_uses_the_address_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with BedrockServer(ConverseResponse(text=["a"])) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", server.url)
        response_of(ProviderModel(Route(model=f"bedrock:{CLAUDE_ON_BEDROCK}")))
        authorization = server.received[0].headers["authorization"]
    assert "/eu-central-1/bedrock/aws4_request" in authorization


def test_bedrock_uses_the_region_of_the_route() -> None:
    with BedrockServer(ConverseResponse(text=["a"])) as server:
        response_of(bedrock_at(server, region="us-west-2"))
        assert "/us-west-2/" in server.received[0].headers["authorization"]


def test_bedrock_rejects_an_api_key() -> None:
    with pytest.raises(DefinitionError):
        events_of(ProviderModel(Route(model="bedrock:m"), "a-key"))


def test_bedrock_serves_concurrent_threads() -> None:
    with BedrockServer(*[ConverseResponse(text=["a", "b"], pause=0.005)] * 20) as server:
        model = bedrock_at(server)
        with ThreadPoolExecutor(8) as threads:
            responses = list(threads.map(lambda _: response_of(model).message.content, range(20)))
    assert responses == ["ab"] * 20


def test_a_slow_bedrock_response_times_out() -> None:
    with BedrockServer(ConverseResponse(text=["a"] * 100, pause=0.3)) as server:
        started = time.monotonic()
        with pytest.raises(ModelUnavailableError):
            events_of(bedrock_at(server, timeout=0.5))
        assert time.monotonic() - started < 20  # the whole response takes 30 seconds


def test_anthropic_streams_reasoning_text_and_usage() -> None:
    scripted = Message(
        thinking=["Think", "ing."], text=["Hel", "lo"], input_tokens=100, cached_tokens=30
    )
    with AnthropicServer(scripted) as server:
        deltas, response = parts_of(anthropic_at(server))
    assert deltas == [
        ReasoningDelta("Think"),
        ReasoningDelta("ing."),
        ResponseDelta("Hel"),
        ResponseDelta("lo"),
    ]
    assert response.message.parts[0] == Thinking("Thinking.", "signed")
    assert response.usage == TokenUsage(130, 5, 30)


def test_anthropic_gets_the_reasoning_effort() -> None:
    """With reasoning, no tool can be forced: a text response is an error for the model."""
    structured = replace(REQUEST, output_tool=FINAL_OUTPUT)
    with AnthropicServer(*[Message(text=["a"])] * 2) as server:
        response_of(anthropic_at(server, reasoning="off"), structured)
        response_of(anthropic_at(server, reasoning="low"), structured)
        off, low = (received.json for received in server.received)
    assert "thinking" not in off
    assert off["tool_choice"]["type"] == "any"
    assert low["thinking"] == {"type": "enabled", "budget_tokens": 2048}
    assert low["tool_choice"]["type"] == "auto"


def test_anthropic_gets_its_signed_reasoning_back() -> None:
    with AnthropicServer(*[Message(text=["a"])] * 2) as server:
        response_of(anthropic_at(server), FOLLOW_UP)
        response_of(anthropic_at(server), replace(FOLLOW_UP, output_tool=FINAL_OUTPUT))
        plain, structured = (received.json for received in server.received)
    _, assistant, results = plain["messages"]
    assert assistant["content"][0] == {
        "type": "thinking",
        "thinking": "Look it up.",
        "signature": "signed",
    }
    assert [block.get("tool_use_id") for block in results["content"]] == ["own-1", "own-2", None]
    assert [block.get("is_error") for block in results["content"]] == [False, True, None]
    assert plain["tool_choice"] == {"type": "auto"}
    assert structured["tool_choice"] == {"type": "any"}


def test_anthropic_tool_calls_are_assembled_from_deltas() -> None:
    uses = [("same", "lookup", '{"word": "a"}'), ("same", "lookup", "")]
    with AnthropicServer(Message(tool_uses=uses)) as server:
        turn = response_of(anthropic_at(server), replace(REQUEST, tools=(LOOKUP,))).message
    assert [call.input for call in turn.tool_calls] == [{"word": "a"}, {}]


BLANKS = ModelRequest(
    "Be brief.",
    [
        AssistantMessage((Text(" "), ToolCall("id-1", "lookup", {}))),
        ToolOutcome("id-1", "lookup", "\n"),
    ],
    thread_messages=[
        UserMessage("Hello?"),
        AssistantMessage((Text("\n\n"),)),
        UserMessage("Are you there?"),
        AssistantMessage((Text("Yes."),)),
        UserMessage("\t"),
    ],
    tools=(LOOKUP,),
)


def texts_in(value: Any) -> list[str]:
    """Return all texts of the content blocks, also those in tool results."""
    if isinstance(value, list):
        return [text for item in value for text in texts_in(item)]
    if not isinstance(value, dict):
        return []
    own = [value["text"]] if isinstance(value.get("text"), str) else []
    inner = [value.get(name) for name in ("content", "toolResult")]
    return own + [text for item in inner for text in texts_in(item)]


def test_blank_texts_are_omitted_at_anthropic_and_bedrock() -> None:
    """A thread whose response was blank can run again."""
    with BedrockServer(ConverseResponse(text=["a"])) as server:
        response_of(bedrock_at(server), BLANKS)
        bedrock = server.received[0].json["messages"]
    with AnthropicServer(Message(text=["a"])) as server:
        response_of(anthropic_at(server), BLANKS)
        anthropic = server.received[0].json["messages"]
    expected = [
        *("Hello?", "Are you there?", "Yes."),
        *("(This message is empty.)", "(The result is empty.)"),
    ]
    assert texts_in(bedrock) == texts_in(anthropic) == expected
    for messages in (bedrock, anthropic):
        assert [message["role"] for message in messages] == [
            *("user", "assistant", "user", "assistant", "user")
        ]


def test_another_route_gets_no_reasoning_and_ids_that_every_provider_accepts() -> None:
    with AnthropicServer(Message(text=["a"])) as server:
        response_of(anthropic_at(server), replace(FOLLOW_UP, route="fallback"))
        _, assistant, results = server.received[0].json["messages"]
    assert assistant["content"] == [
        {"type": "text", "text": "Let me see."},
        *(
            {"type": "tool_use", "id": derived_id(own), "name": "lookup", "input": arguments}
            for own, arguments in (("id-1", {"word": "yard"}), ("id-2", {}))
        ),
    ]
    ids = [block["tool_use_id"] for block in results["content"] if "tool_use_id" in block]
    assert ids == [derived_id("id-1"), derived_id("id-2")]
    assert all(re.fullmatch("[a-zA-Z0-9]{9}", own) for own in ids)
