"""Replay recorded responses of providers byte by byte, and compare what goes back to them."""

import http.client
import re
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from runyard_service.adapters.stores import Stores
from runyard_service.agents.models.providers.call_names import derived_id
from runyard_service.domain.events import Event
from tests.support.provider_runs import LOOKUP, ToolServer, agent_at, run_to_end
from tests.support.servers.openai_server import ChatResponse, ChatToolCall, OpenAIServer
from tests.support.servers.raw_exchanges import RawServer, exchange_names, read_response

pytestmark = pytest.mark.usefixtures("bedrock_credentials")

PROVIDERS = {"o": "openai", "a": "anthropic", "b": "bedrock"}


def call(call_id: Any, name: str = "lookup", arguments: str = '{"id":"1"}', **own: Any) -> Any:
    function = {"name": name, "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function, **own}


def use(call_id: str, name: str = "lookup", record: str = "1") -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": name, "input": {"id": record}}


def thinking(content: str, signature: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": content, "signature": signature}


def tool_use(call_id: str, name: str = "lookup", record: str = "1") -> dict[str, Any]:
    return {"toolUse": {"toolUseId": call_id, "name": name, "input": {"id": record}}}


def reasoning(content: str, signature: str) -> dict[str, Any]:
    return {"reasoningContent": {"reasoningText": {"text": content, "signature": signature}}}


# The assistant message of the next request, by exchange file. `<n>` is the derived id of call n.
SENT_BACK: dict[str, Any] = {
    "o10-mistral-ids": {"content": None, "tool_calls": [call("D681PevKs")]},
    "o11-gemini-signature": {
        "content": None,
        "tool_calls": [
            call("function-call-1", extra_content={"google": {"thought_signature": "SIG=="}})
        ],
    },
    "o-reasoning-content": {
        "reasoning_content": "Look it up.",
        "content": "One moment.",
        "tool_calls": [call("call_00_aB")],
    },
    "o-reasoning-details": {
        "reasoning": "Look it up.",
        "reasoning_details": [
            {
                "type": "reasoning.text",
                "text": "Look it up.",
                "signature": "S1",
                "format": "anthropic-claude-v1",
                "index": 0,
            },
            {
                "type": "reasoning.encrypted",
                "data": "E1",
                "id": "rs_1",
                "format": "openai-responses-v1",
                "index": 1,
            },
        ],
        "content": None,
        "tool_calls": [call("toolu_01")],
    },
    "o-thinking-blocks": {
        "thinking_blocks": [thinking("Look it up.", "S1"), thinking("Then answer.", "S2")],
        "content": None,
        "tool_calls": [call("call_1__thought__Q0lHPT0=")],
    },
    "o-made-up-names": {
        "content": None,
        "tool_calls": [
            call("call_1", "functions_lookup"),
            call("call_2", "__"),
            call("call_3", "l" * 64),
        ],
    },
    "o-repeated-ids": {
        "content": None,
        "tool_calls": [call("same"), call("<1>", arguments='{"id":"2"}')],
    },
    "o-same-call-twice": {"content": None, "tool_calls": [call("call_a"), call("call_b")]},
    "o-no-ids": {"content": None, "tool_calls": [call("<0>")]},
    "a4-interleaved": [
        thinking("first", "S1"),
        use("toolu_1"),
        thinking("second", "S2"),
        use("toolu_2", record="2"),
    ],
    "a-text-between": [
        thinking("first", "S1"),
        {"type": "text", "text": "One moment."},
        {"type": "redacted_thinking", "data": "R1"},
        use("toolu_1"),
        use("toolu_2", "functions_lookup"),
    ],
    "b-interleaved": [
        reasoning("first", "S1"),
        tool_use("tooluse_1"),
        reasoning("second", "S2"),
        tool_use("tooluse_2", record="2"),
    ],
    "b-blank-text": [tool_use("tooluse_1"), tool_use("tooluse_2", "l" * 64)],
}


def replay(
    stores: Stores,
    tools: ToolServer,
    *names: str,
    effect: str = "none",
    chunk_bytes: int | None = None,
    **fields: Any,
) -> tuple[list[Event], list[Any]]:
    """Return the log of a run with these responses, and the messages of each of its requests."""
    with RawServer(*names, chunk_bytes=chunk_bytes) as server:
        agent = agent_at(
            server.url, PROVIDERS[names[0][0]], [{**LOOKUP, "effect": effect}], **fields
        )
        events = run_to_end(stores, agent, tools)
        return events, [received.json["messages"] for received in server.received]


@pytest.mark.parametrize("chunk_bytes", [None, 7])
@pytest.mark.parametrize("name", exchange_names())
def test_the_server_sends_the_bytes_of_the_file(name: str, chunk_bytes: int | None) -> None:
    with RawServer(name, chunk_bytes=chunk_bytes) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        connection.request("POST", "/", b"{}")
        response = connection.getresponse()
        assert response.read() == read_response(name).body
        connection.close()
    assert response.status == 200


@pytest.mark.parametrize("chunk_bytes", [None, 5])
@pytest.mark.parametrize("name", SENT_BACK)
def test_the_provider_gets_its_response_back_part_by_part(
    stores: Stores, tools: ToolServer, name: str, chunk_bytes: int | None
) -> None:
    done = f"{name[0]}-done"
    events, requests = replay(stores, tools, name, done, chunk_bytes=chunk_bytes)
    assert events[-1].data["output"] == {"content": "Done."}
    (assistant,) = (message for message in requests[1] if message["role"] == "assistant")
    response = next(event for event in events if event.type == "agent.message.completed")
    ids = [derived_id(call["id"]) for call in response.data["tool_calls"]]
    expected = deepcopy(SENT_BACK[name])
    if name[0] == "o":
        for own in expected["tool_calls"]:
            if number := re.fullmatch("<(.)>", own["id"]):
                own["id"] = ids[int(number[1])]
        assert assistant == {"role": "assistant", **expected}
    else:
        assert assistant["content"] == expected
    assert call_ids(expected) == result_ids(requests[1])


def call_ids(sent: Any) -> list[str]:
    if isinstance(sent, dict):
        return [own["id"] for own in sent["tool_calls"]]
    blocks = [part.get("toolUse", part) for part in sent]
    ids = [block.get("toolUseId") or block.get("id") for block in blocks]
    return [own for own in ids if own]


def result_ids(messages: list[Any]) -> list[str]:
    if any(message["role"] == "tool" for message in messages):
        return [message["tool_call_id"] for message in messages if message["role"] == "tool"]
    content = [block for block in messages[-1]["content"] if "cachePoint" not in block]
    blocks = [block.get("toolResult", block) for block in content]
    return [block.get("toolUseId") or block["tool_use_id"] for block in blocks]


def test_the_same_unsafe_call_twice_in_one_response_stays_two_calls(
    stores: Stores, tools: ToolServer
) -> None:
    events, _ = replay(stores, tools, "o-same-call-twice", "o-done", effect="unsafe")
    assert tools.paths == ["/records/1", "/records/1"]
    started = [event.data["id"] for event in events if event.type == "agent.tool_call.started"]
    assert len(set(started)) == 2


@pytest.mark.parametrize("effect", ["none", "unsafe"])
@pytest.mark.parametrize("name", ["o-no-ids", "a4-interleaved", "b-interleaved"])
def test_no_call_is_made_where_no_response_could_follow(
    stores: Stores, tools: ToolServer, name: str, effect: str
) -> None:
    events, requests = replay(stores, tools, name, effect=effect, limits={"steps": 1})
    assert len(requests) == 1
    assert tools.paths == []
    assert not any(event.type.startswith("agent.tool_call") for event in events)
    assert events[-1].data["error"] == {
        "code": "limit_exceeded",
        "message": "the run has taken its 1 steps",
    }


def test_no_call_is_made_after_a_response_without_the_tokens_that_a_limit_needs(
    stores: Stores, tools: ToolServer
) -> None:
    """The run fails after this response, so the call would be made for nothing."""
    response = ChatResponse(tool_calls=[ChatToolCall("lookup", ['{"id": "1"}'])], usage=None)
    with OpenAIServer(response) as server:
        agent = agent_at(server.url, "openai", limits={"tokens": 100_000})
        events = run_to_end(stores, agent, tools)
    assert tools.paths == []
    assert events[-1].data["error"]["code"] == "definition_invalid"


def test_a_long_signature_goes_back_to_the_provider(stores: Stores, tools: ToolServer) -> None:
    """Above 100 KiB, the event's data is stored in S3."""
    recorded = read_response("a4-interleaved")
    signature = "S" * 200_000
    long = replace(recorded, body=recorded.body.replace(b"S1", signature.encode()))
    with RawServer(long, "a-done") as server:
        run_to_end(stores, agent_at(server.url, "anthropic"), tools)
        assistant = server.received[1].json["messages"][1]
    assert assistant["content"][0] == thinking("first", signature)
