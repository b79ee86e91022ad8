"""Test runs that are longer than the context window of their model."""

import json
import os
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from runyard.cli.verify_stores import find_run_violations
from runyard_dev.access_key import ORG_ID, PROJECT_ID
from runyard_service.adapters.stores import Stores
from runyard_service.agents.definitions.models import Snapshot
from runyard_service.domain.events import Event
from runyard_service.domain.runs import Run
from tests.support import provider_runs
from tests.support.long_conversations import Records, agent_at
from tests.support.run_factory import create_run
from tests.support.servers.model_server import ProviderFailure
from tests.support.servers.openai_server import ChatResponse, ChatUsage, OpenAIServer
from tests.support.servers.window_server import SUMMARY, WindowServer
from tests.support.service import Service, assert_whole
from tests.support.threads_service import ThreadsService

# The second size takes a minute: `make long-conversations`.
SIZES = [(80, 12_000), *([(400, 32_000)] if "LONG_CONVERSATIONS" in os.environ else [])]

COMPACTED = "agent.context.compacted"
RESPONDED = "agent.message.completed"


def run_to_end(
    stores: Stores, server: WindowServer, records: Records, agent: Snapshot
) -> tuple[Run, list[Event]]:
    """Advance a run to its end, in as many executions as it needs."""
    run = create_run(stores, agent)
    events = provider_runs.advance(stores, run, records)
    found = stores.runs.get(run.id)
    assert found is not None
    return found, events


def compactions(events: list[Event]) -> list[dict[str, Any]]:
    return [dict(event.data) for event in events if event.type == COMPACTED]


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


def test_a_summary_without_a_text_is_replaced_by_the_shortened_record(stores: Stores) -> None:
    with WindowServer(20, 6_000) as server, Records() as records:
        server.summary = ChatResponse(reasoning=["Hm."], usage=ChatUsage(10, 10))
        run, events = run_to_end(stores, server, records, agent_at(server, window=server.window))
    assert run.status == "completed"
    summary = compactions(events)[0]["summary"]
    assert "[call of lookup]" in summary
    assert len(summary) < 4 * 1024


def test_the_cost_of_a_summary_counts_but_it_is_no_step(stores: Stores) -> None:
    with WindowServer(20, 6_000) as server, Records() as records:
        run, events = run_to_end(stores, server, records, agent_at(server, window=server.window))
    usages = [event.data["usage"] for event in events if event.type in (RESPONDED, COMPACTED)]
    assert len(usages) > run.usage.steps == 20
    assert run.usage.input_tokens == sum(usage["input_tokens"] for usage in usages)
    assert run.usage.output_tokens == sum(usage["output_tokens"] for usage in usages)
    cost = sum((Decimal(str(usage["cost_usd"])) for usage in usages), Decimal(0))
    assert run.usage.cost_usd == cost


def test_a_summary_that_may_exceed_the_budget_is_not_requested(stores: Stores) -> None:
    with WindowServer(30, 12_000) as server, Records() as records:
        _, events = run_to_end(stores, server, records, agent_at(server, window=server.window))
        first = next(n for n, event in enumerate(events) if event.type == COMPACTED)
        used = sum(
            event.data["usage"]["input_tokens"] + event.data["usage"]["output_tokens"]
            for event in events[:first]
            if event.type == RESPONDED
        )
        server.received.clear()
        limits = {"steps": 500, "tokens": used + 9_000}
        agent = agent_at(server, window=server.window, limits=limits)
        run, _ = run_to_end(stores, server, records, agent)
    assert run.error is not None
    assert run.error["code"] == "limit_exceeded"
    assert run.usage.steps == [event.type for event in events[:first]].count(RESPONDED)
    assert len(server.received) == len(server.requests), "a summary was requested"


def test_both_apis_return_the_compactions(stores: Stores, service: Service) -> None:
    with WindowServer(20, 9_000) as server, Records() as records:
        agent = agent_at(server, window=server.window, max_output_tokens=100)
        run = create_run(stores, agent, project_id=PROJECT_ID, org_id=ORG_ID)
        events = provider_runs.advance(stores, run, records)
    found = compactions(events)
    assert found
    returned = service.events(run.id)
    assert_whole(returned)
    assert [event["data"] for event in returned if event["type"] == COMPACTED] == found
    assert service.run(run.id)["usage"]["steps"] == 20
    with ThreadsService(service.base_url, service.access_key) as threads:
        views = threads.events(run.id)
    assert [view["data"] for view in views if view["type"] == COMPACTED] == found
    assert [view["seq"] for view in views] == [event["sequence"] for event in returned]


def test_another_route_writes_the_summaries(stores: Stores) -> None:
    with (
        WindowServer(20, 9_000) as server,
        WindowServer(1, 5_000) as cheap,
        Records() as records,
    ):
        agent = agent_at(server, window=server.window, max_output_tokens=100)
        # The summaries of a route do not use its effort: it can need more tokens than they have.
        changes = {"base_url": cheap.base_url, "context_window": 5_000, "reasoning": "high"}
        summary_route = agent.route.model_copy(update=changes)
        agent = agent.model_copy(update={"summary_route": summary_route})
        run, events = run_to_end(stores, server, records, agent)
    assert run.status == "completed"
    assert len(server.requests) == len(server.received) == 20
    assert len(cheap.received) == len(compactions(events)) > 0
    assert cheap.rejected == 0
    assert not any("reasoning_effort" in received.json for received in cheap.received)


def test_a_summary_waits_until_its_provider_answers(stores: Stores) -> None:
    busy = [ProviderFailure(503), ProviderFailure(503)]
    with (
        WindowServer(20, 9_000) as server,
        OpenAIServer(*busy, ChatResponse(text=["All is well."])) as unsteady,
        Records() as records,
    ):
        agent = agent_at(server, window=server.window, max_output_tokens=100)
        route = agent.route.model_copy(update={"base_url": unsteady.base_url})
        agent = agent.model_copy(update={"summary_route": route})
        run, events = run_to_end(stores, server, records, agent)
    assert compactions(events)[0]["summary"] == "All is well."
    assert run.usage.steps >= 18
