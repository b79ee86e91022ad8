"""Test runs that are longer than the context window of their model."""

import json
import os
from itertools import pairwise
from typing import Any

import pytest

from runyard.cli.verify_stores import find_run_violations
from runyard_service.adapters.stores import Stores
from tests.support import provider_runs
from tests.support.long_conversations import (
    Records,
    agent_at,
    compactions,
    run_to_end,
)
from tests.support.run_factory import create_run
from tests.support.servers.anthropic_server import AnthropicServer, Message
from tests.support.servers.loopback import Received
from tests.support.servers.window_server import SUMMARY, WindowServer

# The second size takes a minute: `make long-conversations`.
SIZES = [(80, 12_000), *([(400, 32_000)] if "LONG_CONVERSATIONS" in os.environ else [])]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("steps", "window"), SIZES)
def test_a_run_of_many_steps_finishes_in_a_small_window(
    stores: Stores, steps: int, window: int
) -> None:
    with WindowServer(steps, window) as server, Records() as records:
        run, events = run_to_end(stores, server, records, agent_at(server, window=window))
    assert (run.status, run.output, run.usage.steps) == ("completed", {"content": "Done."}, steps)
    assert server.rejected == 0
    # Each record was looked up once: nothing was forgotten or repeated.
    assert records.paths == [f"/records/{number}" for number in range(1, steps)]
    found = compactions(events)
    assert 2 <= len(found) < steps / 5
    assert {data["reason"] for data in found} == {"size"}
    assert {data["summary"] for data in found} == {SUMMARY}
    assert find_run_violations(stores, run.id) == []


def test_earlier_messages_change_only_at_a_compaction(stores: Stores) -> None:
    with WindowServer(60, 9_000) as server, Records() as records:
        _, events = run_to_end(stores, server, records, agent_at(server, window=server.window))
    requests = server.requests
    changes = [
        number
        for number, (before, after) in enumerate(pairwise(requests), start=2)
        if after["messages"][: len(before["messages"])] != before["messages"]
    ]
    assert changes == [data["iteration"] for data in compactions(events)]
    for request in requests:
        first, task = request["messages"][:2]
        assert (first["content"], json.loads(task["content"])) == ("Continue.", {"x": 1})
        assert request["tools"] == requests[0]["tools"]
        assert_calls_have_results(request["messages"])


def assert_calls_have_results(messages: list[dict[str, Any]]) -> None:
    """Check that each call is followed by its result, and each result follows its call."""
    calls = [call["id"] for message in messages for call in message.get("tool_calls") or ()]
    results = [message["tool_call_id"] for message in messages if message["role"] == "tool"]
    assert calls == results


@pytest.mark.parametrize("bytes_per_token", [4, 1.5])
def test_a_request_that_the_provider_rejects_is_shortened_and_repeated(
    stores: Stores, bytes_per_token: float
) -> None:
    """The window is unknown. With 1.5 bytes in a token, the first summary request is rejected."""
    with WindowServer(30, 6_000, bytes_per_token) as server, Records(800) as records:
        run, events = run_to_end(stores, server, records, agent_at(server))
    assert (run.status, run.usage.steps) == ("completed", 30)
    assert {data["reason"] for data in compactions(events)} == {"rejected"}
    assert server.rejected >= len(compactions(events))


def test_a_run_fails_if_nothing_can_be_left_out(stores: Stores) -> None:
    with WindowServer(30, 1_500) as server, Records() as records:
        agent = agent_at(server, instructions="Be careful. " * 1000)
        run, events = run_to_end(stores, server, records, agent)
    assert run.error is not None
    assert run.error["code"] == "model_rejected"
    assert compactions(events) == []
    assert server.rejected == 1


def test_an_agent_without_a_context_policy_is_not_shortened(stores: Stores) -> None:
    with WindowServer(30, 6_000) as server, Records() as records:
        agent = agent_at(server, window=6_000, context=None)
        run, events = run_to_end(stores, server, records, agent)
    assert run.error is not None
    assert run.error["code"] == "model_rejected"
    assert compactions(events) == []


def test_long_results_are_cut_before_anything_is_summarized(stores: Stores) -> None:
    context = {"keep_turns": 2, "tool_result_bytes": 1000}
    with WindowServer(7, 16_000) as server, Records(9_000) as records:
        run, events = run_to_end(
            stores, server, records, agent_at(server, window=16_000, context=context)
        )
    [data] = compactions(events)
    assert run.status == "completed"
    assert (data["through"], data["summary"], data["model"], data["usage"]) == (0, "", "", {})
    assert data["cut"] == {"through": data["iteration"] - 3, "bytes": 1000}
    results = [m["content"] for m in server.requests[-1]["messages"] if m["role"] == "tool"]
    assert [len(result) < 1100 for result in results] == [True] * data["cut"]["through"] + [
        False
    ] * (len(results) - data["cut"]["through"])
    assert "bytes are left out here" in results[0]


def test_a_result_longer_than_the_window_is_cut_although_it_is_the_newest(stores: Stores) -> None:
    with WindowServer(3, 6_000) as server, Records(100_000) as records:
        run, events = run_to_end(stores, server, records, agent_at(server, window=server.window))
    assert run.status == "completed"
    assert server.rejected == 0
    assert compactions(events)[0]["cut"]["through"] == 1


def test_reasoning_of_turns_that_stay_goes_back_with_its_signature(stores: Stores) -> None:
    steps = 12

    def respond(received: Received) -> Message:
        request = received.json
        tokens = len(received.body) // 4
        if not request.get("tools"):
            return Message(text=[SUMMARY], stop_reason="end_turn", input_tokens=tokens)
        used = [
            block["id"]
            for message in request["messages"]
            for block in message["content"]
            if message["role"] == "assistant" and block["type"] == "tool_use"
        ]
        done = int(used[-1].removeprefix("toolu_")) if used else 0
        if done == steps - 1:
            return Message(text=["Done."], stop_reason="end_turn", input_tokens=tokens)
        use = (f"toolu_{done + 1}", "lookup", json.dumps({"id": str(done + 1)}))
        return Message(
            thinking=[f"Record {done + 1}."],
            signature=f"signed {done + 1}",
            tool_uses=[use],
            stop_reason="tool_use",
            input_tokens=tokens,
        )

    with AnthropicServer(choose=respond) as server, Records() as records:
        agent = provider_runs.agent_at(server.url, "anthropic", max_output_tokens=100)
        route = agent.route.model_copy(update={"context_window": 5_000})
        agent = agent.model_copy(update={"route": route})
        run = create_run(stores, agent)
        events = provider_runs.advance(stores, run, records)
    assert events[-1].type == "run.completed"
    assert compactions(events)
    for received in server.received:
        if not received.json.get("tools"):
            continue
        for message in received.json["messages"]:
            if message["role"] == "assistant":
                thinking, use = message["content"]
                number = use["id"].removeprefix("toolu_")
                assert thinking["signature"] == f"signed {number}"
                assert thinking["thinking"] == f"Record {number}."
