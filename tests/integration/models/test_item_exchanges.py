"""Replay recorded responses of the Responses API, Gemini and Mistral, and compare what goes back.

These providers get a history of items or parts. So the whole history of the next request is
compared, from the first response to the last result.
"""

from typing import Any

import pytest

from runyard_service.adapters.stores import Stores
from runyard_service.agents.models.providers.call_names import derived_id
from runyard_service.domain.events import Event
from tests.support.provider_runs import LOOKUP, ToolServer, agent_at, run_to_end
from tests.support.servers.loopback import Received
from tests.support.servers.raw_exchanges import RawServer

PROVIDERS = {"p": "openai-responses", "g": "google", "m": "mistral"}
PATHS = {
    "p": "/v1/responses",
    "g": "/v1beta/models/gemini-3-flash-preview:streamGenerateContent?alt=sse",
    "m": "/v1/chat/completions",
}
HISTORY = {"p": "input", "g": "contents", "m": "messages"}


def function_call(item: str, call: str, record: str) -> dict[str, Any]:
    return {
        "type": "function_call",
        "id": item,
        "call_id": call,
        "name": "lookup",
        "arguments": f'{{"id":"{record}"}}',
    }


def output(call: str, record: str) -> dict[str, Any]:
    return {
        "type": "function_call_output",
        "call_id": call,
        "output": f"/records/{record}",
    }


def gemini_call(call: str, record: str, **own: Any) -> dict[str, Any]:
    return {"functionCall": {"id": call, "name": "lookup", "args": {"id": record}}, **own}


def gemini_result(call: str, record: str) -> dict[str, Any]:
    response = {"output": f"/records/{record}"}
    return {"functionResponse": {"id": call, "name": "lookup", "response": response}}


def mistral_call(call: str, record: str) -> dict[str, Any]:
    function = {"name": "lookup", "arguments": f'{{"id":"{record}"}}'}
    return {"id": call, "type": "function", "function": function}


def mistral_result(call: str, record: str) -> dict[str, Any]:
    return {
        "role": "tool",
        "tool_call_id": call,
        "name": "lookup",
        "content": f"/records/{record}",
    }


def thinking(text: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}]}


# What follows the user's message in the next request. `<0>` is the derived id of the first call.
SENT_BACK: dict[str, list[Any]] = {
    "p-interleaved": [
        {
            "type": "reasoning",
            "id": "rs_1",
            "encrypted_content": "gAAAA1==",
            "summary": [
                {"type": "summary_text", "text": "**Look it up.** First."},
                {"type": "summary_text", "text": "**Then** the other."},
            ],
        },
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "phase": "commentary",
            "content": [{"type": "output_text", "text": "One moment.", "annotations": []}],
        },
        function_call("fc_1", "call_1", "1"),
        {"type": "reasoning", "id": "rs_2", "encrypted_content": "gAAAA2==", "summary": []},
        function_call("fc_2", "call_2", "2"),
        output("call_1", "1"),
        output("call_2", "2"),
    ],
    "g-interleaved": [
        {
            "role": "model",
            "parts": [
                {"text": "**Look it up.**", "thought": True},
                {"text": "One moment."},
                gemini_call("fc-1", "1", thoughtSignature="EtQBSIG1=="),
                gemini_call("fc-2", "2"),
            ],
        },
        {"role": "user", "parts": [gemini_result("fc-1", "1"), gemini_result("fc-2", "2")]},
    ],
    "g-signed-text": [
        {
            "role": "model",
            "parts": [
                {"text": "I look "},
                {"text": "it up.", "thoughtSignature": "EtQBSIG0=="},
                gemini_call("<0>", "1", thoughtSignature="EtQBSIG1=="),
                {"text": "", "thoughtSignature": "EtQBSIG2=="},
            ],
        },
        {"role": "user", "parts": [gemini_result("<0>", "1")]},
    ],
    "m-thinking-calls": [
        {
            "role": "assistant",
            "content": [
                thinking("Look it up."),
                {"type": "text", "text": "One moment."},
                thinking("Then the other."),
            ],
            "tool_calls": [mistral_call("D681PevKs", "1"), mistral_call("kQ2mZ8xYw", "2")],
        },
        mistral_result("D681PevKs", "1"),
        mistral_result("kQ2mZ8xYw", "2"),
    ],
    "m-one-index": [
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [mistral_call("D681PevKs", "1"), mistral_call("kQ2mZ8xYw", "2")],
        },
        mistral_result("D681PevKs", "1"),
        mistral_result("kQ2mZ8xYw", "2"),
    ],
    "m-plain-call": [
        {
            "role": "assistant",
            "content": "One moment.",
            "tool_calls": [mistral_call("D681PevKs", "1")],
        },
        mistral_result("D681PevKs", "1"),
    ],
}


# A gateway that ignores `stream` sends the whole response.
SENT_BACK |= {
    "p-whole": SENT_BACK["p-interleaved"],
    "g-whole": SENT_BACK["g-interleaved"],
    "g-whole-list": SENT_BACK["g-interleaved"],
    "m-whole": SENT_BACK["m-thinking-calls"],
}


def replay(
    stores: Stores,
    tools: ToolServer,
    *names: str,
    chunk_bytes: int | None = None,
    **fields: Any,
) -> tuple[list[Event], list[Received]]:
    """Return the log of a run with these responses, and its requests."""
    with RawServer(*names, chunk_bytes=chunk_bytes) as server:
        agent = agent_at(server.url, PROVIDERS[names[0][0]], [LOOKUP], **fields)
        return run_to_end(stores, agent, tools), server.received


def with_id(value: Any, own: str) -> Any:
    """Return the value with the id `own` where it has `<0>`."""
    if isinstance(value, dict):
        return {name: with_id(inner, own) for name, inner in value.items()}
    if isinstance(value, list):
        return [with_id(inner, own) for inner in value]
    return own if value == "<0>" else value


@pytest.mark.parametrize("chunk_bytes", [None, 5])
@pytest.mark.parametrize("name", SENT_BACK)
def test_the_provider_gets_its_response_back_item_by_item(
    stores: Stores, tools: ToolServer, name: str, chunk_bytes: int | None
) -> None:
    api = name[0]
    events, requests = replay(stores, tools, name, f"{api}-done", chunk_bytes=chunk_bytes)
    assert events[-1].data["output"] == {"content": "Done."}
    assert [request.path for request in requests] == [PATHS[api]] * 2
    first, second = (request.json[HISTORY[api]] for request in requests)
    response = next(event for event in events if event.type == "agent.message.completed")
    call_id = derived_id(response.data["tool_calls"][0]["id"])
    assert second[: len(first)] == first
    assert second[len(first) :] == with_id(SENT_BACK[name], call_id)


@pytest.mark.parametrize("name", ["p-interleaved", "g-interleaved", "m-thinking-calls"])
def test_tokens_are_counted_with_cached_and_reasoning_tokens(
    stores: Stores, tools: ToolServer, name: str
) -> None:
    events, _ = replay(stores, tools, name, f"{name[0]}-done")
    response = next(event for event in events if event.type == "agent.message.completed")
    usage = response.data["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (100, 30)
    assert usage["cached_input_tokens"] == 40


@pytest.mark.parametrize("name", ["p-length-text", "g-length-text", "m-length-text"])
def test_a_truncated_text_is_no_answer(stores: Stores, tools: ToolServer, name: str) -> None:
    events, requests = replay(stores, tools, name, f"{name[0]}-done")
    first = next(event for event in events if event.type == "agent.message.completed")
    assert first.data["truncated"] is True
    assert b"Your response was cut off at 30 tokens." in requests[1].body


@pytest.mark.parametrize("name", ["p-length-call", "g-length-call", "m-model-length-call"])
def test_no_call_of_a_truncated_response_is_made(
    stores: Stores, tools: ToolServer, name: str
) -> None:
    events, _ = replay(stores, tools, name, f"{name[0]}-done")
    assert tools.paths == []
    assert events[-1].data["output"] == {"content": "Done."}


NO_ANSWER = {
    "p-reasoning-alone": ("had only reasoning", "completed"),
    "g-thought-alone": ("had only reasoning", "STOP"),
    "g-malformed-call": ("was not complete", "MALFORMED_FUNCTION_CALL"),
    "m-thinking-alone": ("had only reasoning", "stop"),
    "m-no-call": ("announced a tool call, but had none", "tool_calls"),
}


@pytest.mark.parametrize("name", NO_ANSWER)
def test_the_model_is_asked_again_and_informed_what_is_missing(
    stores: Stores, tools: ToolServer, name: str
) -> None:
    events, requests = replay(stores, tools, name, f"{name[0]}-done")
    message, reason = NO_ANSWER[name]
    assert events[-1].data["output"] == {"content": "Done."}
    assert message in requests[1].body.decode()
    first = next(event for event in events if event.type == "agent.message.completed")
    assert first.data["finish_reason"] == reason
