"""Test the summaries of long conversations: their cost, their route, and their failures."""

from decimal import Decimal

from runyard_dev.access_key import ORG_ID, PROJECT_ID
from runyard_service.adapters.stores import Stores
from tests.support import provider_runs
from tests.support.long_conversations import (
    COMPACTED,
    Records,
    agent_at,
    compactions,
    run_to_end,
)
from tests.support.run_factory import create_run
from tests.support.servers.model_server import ProviderFailure
from tests.support.servers.openai_server import ChatResponse, ChatUsage, OpenAIServer
from tests.support.servers.window_server import WindowServer
from tests.support.service import Service, assert_whole
from tests.support.threads_service import ThreadsService

RESPONDED = "agent.message.completed"


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
