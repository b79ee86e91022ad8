"""Test responses without an answer, as each provider sends them: the model is asked again."""

from typing import Any

import pytest

from runyard_service.adapters.stores import Stores
from runyard_service.domain.events import Event
from tests.support.provider_runs import ToolServer, agent_at, run_to_end
from tests.support.servers.loopback import Received
from tests.support.servers.raw_exchanges import RawServer

pytestmark = pytest.mark.usefixtures("bedrock_credentials")

PROVIDERS = {"o": "openai", "r": "openai", "a": "anthropic", "b": "bedrock"}
EMPTY = "Your response had no text and no tool call. Answer in text, or call a tool."
REASONING = "Your response had only reasoning, and no text or tool call."
NO_CALL = "Your response announced a tool call, but had none."
# By exchange file: the message to the model, and the provider's finish reason.
NO_ANSWER = {
    "o15-empty": (EMPTY, "stop"),
    "o-white-space": (EMPTY, "stop"),
    "o-reasoning-alone": (REASONING, "stop"),
    "o16b-toolcalls-none": (NO_CALL, "tool_calls"),
    "r14b-malformed-fc": ("was not complete", "function_call_filter: MALFORMED_FUNCTION_CALL"),
    "o-abort": ("was not complete (finish reason: abort)", "abort"),
    "o-abort-with-call": ("None of its tool calls was made", "SAFETY"),
    "a-white-space": (EMPTY, "end_turn"),
    "a-thinking-alone": (REASONING, "end_turn"),
    "a-no-call": (NO_CALL, "tool_use"),
    "a-unknown-reason": ("was not complete", "model_overheated"),
    "b-white-space": (EMPTY, "end_turn"),
    "b-reasoning-alone": (REASONING, "end_turn"),
    "b-no-call": (NO_CALL, "tool_use"),
    "b-malformed-tool-use": ("was not complete", "malformed_tool_use"),
}
BLANK = ["o15-empty", "o-white-space", "o-reasoning-alone", "a-white-space", "b-white-space"]


def replay(stores: Stores, *names: str, **fields: Any) -> tuple[list[Event], list[Received]]:
    """Return the log of a run with these responses, and its requests. No tool may be called."""
    with RawServer(*names) as server, ToolServer() as tools:
        agent = agent_at(server.url, PROVIDERS[names[0][0]], **fields)
        events = run_to_end(stores, agent, tools)
        assert tools.paths == []
        return events, server.received


def done(name: str) -> str:
    return f"{PROVIDERS[name[0]][0]}-done"


@pytest.mark.parametrize("name", NO_ANSWER)
def test_the_model_is_asked_again_and_informed_what_is_missing(stores: Stores, name: str) -> None:
    events, requests = replay(stores, name, done(name))
    message, reason = NO_ANSWER[name]
    assert events[-1].data["output"] == {"content": "Done."}
    assert [request.body.decode().count(message) for request in requests] == [0, 1]
    first = next(event for event in events if event.type == "agent.message.completed")
    assert first.data["no_answer"]
    assert first.data["finish_reason"] == reason
    assert not {"tool_calls", "parts"} & first.data.keys()


@pytest.mark.parametrize("name", NO_ANSWER)
def test_a_run_without_an_answer_fails_with_the_reason_of_the_provider(
    stores: Stores, name: str
) -> None:
    events, requests = replay(stores, name, name, name, limits={"output_attempts": 2})
    assert len(requests) == 2
    assert events[-1].type == "run.failed"
    error = events[-1].data["error"]
    assert error["code"] == "no_answer"
    assert error["message"].startswith("2 responses in a row had no answer. The last ")
    assert error["message"].endswith(f"finish reason: {NO_ANSWER[name][1]}.")


@pytest.mark.parametrize("name", BLANK)
def test_silence_is_an_answer_if_the_agent_allows_it(stores: Stores, name: str) -> None:
    events, requests = replay(stores, name, empty_output="allow")
    assert len(requests) == 1
    assert events[-1].type == "run.completed"
    assert events[-1].data["output"]["content"].strip() == ""


@pytest.mark.parametrize("name", ["o16b-toolcalls-none", "o-abort", "a-no-call"])
def test_an_incomplete_response_is_no_silence(stores: Stores, name: str) -> None:
    events, _ = replay(stores, name, done(name), empty_output="allow")
    assert events[-1].data["output"] == {"content": "Done."}


def test_an_answer_resets_the_count(stores: Stores) -> None:
    """Two responses without an answer, a call, and again two of them."""
    names = ["o15-empty", "o-no-ids", "o15-empty", "o-done"]
    with RawServer(*names) as server, ToolServer() as tools:
        agent = agent_at(server.url, "openai", limits={"output_attempts": 2})
        events = run_to_end(stores, agent, tools)
    assert events[-1].data["output"] == {"content": "Done."}


@pytest.mark.parametrize("name", ["o15-empty", "a-white-space", "b-white-space"])
def test_an_agent_with_an_output_schema_is_asked_for_its_tool(stores: Stores, name: str) -> None:
    events, requests = replay(
        stores, name, name, output_schema={"type": "object"}, limits={"output_attempts": 2}
    )
    assert "calling the tool final_output, or call another tool" in requests[1].body.decode()
    assert events[-1].data["error"]["code"] == "no_answer"


def test_a_paused_turn_continues_and_its_texts_are_one_output(stores: Stores) -> None:
    events, requests = replay(stores, "a-pause-turn", "a-done")
    assert events[-1].data["output"] == {"content": "It is Done."}
    assert requests[1].json["messages"][1:] == [
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "first", "signature": "S1"},
                {"type": "text", "text": "It is "},
            ],
        }
    ]
