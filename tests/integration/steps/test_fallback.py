"""Test the switch to a fallback route in the middle of a run, between two real protocols."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from io import BytesIO
from typing import Any

import pytest

from runyard_service.adapters.dynamodb.files import NewFile
from runyard_service.adapters.dynamodb.spending_ledger import DailyCap
from runyard_service.adapters.stores import Stores
from runyard_service.agents.definitions.models import FallbackRoute, Snapshot
from runyard_service.agents.definitions.routes import Route
from runyard_service.agents.models.circuit_breaker_model import CircuitBreakerModel
from runyard_service.agents.models.factory import model_for
from runyard_service.agents.tools.base import ToolEnvironment
from runyard_service.api.threads.event_views import event_view
from runyard_service.api.threads.views import listed_view
from runyard_service.application.steps import retries
from runyard_service.application.steps.run_context import WorkerDeps
from runyard_service.domain.clock import timestamp
from runyard_service.domain.errors import ModelUnavailableError
from runyard_service.domain.events import Event
from runyard_service.domain.ids import new_id
from runyard_service.domain.runs import Run
from runyard_service.observability.spans import Span
from runyard_service.outbound.circuit_breaker import FAILURES_IN_A_ROW, CircuitBreakers
from tests.support.provider_runs import LOOKUP, ToolServer
from tests.support.run_driver import RunDriver
from tests.support.run_factory import create_run
from tests.support.scripted_agents import scripted_agent
from tests.support.servers.anthropic_server import AnthropicServer, Message
from tests.support.servers.model_server import ProviderFailure
from tests.support.servers.openai_server import ChatResponse, ChatToolCall, OpenAIServer

CALL = ChatResponse(
    ["Let me look."],
    reasoning=["A record."],
    tool_calls=[ChatToolCall("lookup", ['{"id": "7"}'], id="call_own")],
)
SECOND_CALL = Message(
    thinking=["Another record."], tool_uses=[("toolu_own", "lookup", '{"id": "8"}')]
)
ANSWER = Message(text=["Here."])
BUSY = ProviderFailure(503, "busy", "Too many requests.")
PNG = b"\x89PNG\r\n\x1a\n12345678"


class FallbackRuns(RunDriver):
    """Runs on a route of OpenAI with a fallback route of Anthropic, in workers without delays."""

    def __init__(
        self, stores: Stores, first: OpenAIServer, second: AnthropicServer, tools: ToolServer
    ) -> None:
        self.first, self.second, self.tools = first, second, tools
        self.circuits = CircuitBreakers()
        self.spans: list[Span] = []
        super().__init__(
            stores,
            worker=WorkerDeps(
                stores=stores,
                model_for=lambda used: CircuitBreakerModel(
                    model_for(used.route, used.script, "key"), self.circuits.of(used.route.model)
                ),
                tools=ToolEnvironment({"API": tools.url}, (tools.host_and_port,)),
                flush_seconds=0,
                reserve_seconds=1,
                export_spans=self.spans.extend,
            ),
        )

    def agent(self, second_usd: int = 1, **limits: Any) -> Snapshot:
        """Return the agent; a million tokens cost `second_usd` on its fallback route."""
        agent = scripted_agent(
            [], [LOOKUP], route=_route("openai:first", self.first.base_url, 1), **limits
        )
        route = _route("anthropic:second", self.second.url, second_usd)
        fallback = (FallbackRoute(route=route, route_id="second"),)
        return agent.model_copy(update={"script": None, "route_id": "first", "fallback": fallback})

    def start(self, **fields: Any) -> Run:
        """Store a run of the agent."""
        return create_run(self.stores, self.agent(), model="first", route_id="first", **fields)

    def run_to_end(self) -> tuple[Run, list[Event]]:
        """Start a run and advance it in one worker; return its record and log without deltas."""
        run = self.start()
        self.advance(run)
        return self.record(run), self.events(run)


def _route(model: str, url: str, usd: int) -> Route:
    price = Decimal(usd)
    return Route(
        model=model, base_url=url, input_usd_per_million=price, output_usd_per_million=price
    )


@pytest.fixture
def runs(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> Iterator[FallbackRuns]:
    """Yield a driver whose routes have no responses left."""
    monkeypatch.setattr(retries, "_FIRST_DELAY_SECONDS", 0.01)
    with OpenAIServer() as first, AnthropicServer() as second, ToolServer() as tools:
        yield FallbackRuns(stores, first, second, tools)


def messages_of(events: list[Event]) -> list[tuple[int, str]]:
    """Return the iteration and the route of each response."""
    return [
        (event.data["iteration"], event.data["route"])
        for event in events
        if event.type == "agent.message.completed"
    ]


def switches_of(events: list[Event]) -> list[Event]:
    return [event for event in events if event.data.get("reason") == "model_fallback"]


def test_a_run_continues_on_its_fallback_route(runs: FallbackRuns) -> None:
    runs.first.responses.extend([CALL, BUSY, BUSY, BUSY, CALL])
    runs.second.responses.extend([SECOND_CALL, ANSWER])
    run, events = runs.run_to_end()
    assert run.output == {"content": "Here."}
    assert messages_of(events) == [(1, "first"), (2, "second"), (3, "second")]
    assert (len(runs.first.received), len(runs.second.received)) == (4, 2)
    # No tool was called twice.
    assert runs.tools.paths == ["/records/7", "/records/8"]
    assert Counter(event.type for event in events)["agent.tool_call.started"] == 2
    [switch] = switches_of(events)
    message = switch.data["error"].pop("message")
    assert message.startswith("The provider could not answer (HTTP 503, busy). Tried last at 2")
    assert switch.data == {
        "id": run.id,
        "reason": "model_fallback",
        "attempt": 1,
        "failed_route": "first",
        "route": "second",
        "error": {
            "code": "model_unavailable",
            "provider": {"status": 503, "code": "busy", "message": "Too many requests."},
        },
    }


def test_the_fallback_route_gets_the_conversation_without_data_of_the_other_provider(
    runs: FallbackRuns,
) -> None:
    runs.first.responses.extend([CALL, BUSY, BUSY, BUSY])
    runs.second.responses.append(ANSWER)
    runs.run_to_end()
    body = runs.second.received[0].body.decode()
    assert "Let me look." in body
    assert "/records/7" in body
    assert "A record." not in body
    assert "call_own" not in body


@pytest.mark.parametrize("is_mid_run", [True, False])
def test_claude_reasons_only_where_it_accepts_the_newest_response(
    runs: FallbackRuns, *, is_mid_run: bool
) -> None:
    """It rejects reasoning after a response with tool calls and without its own reasoning."""
    runs.first.responses.extend([CALL] if is_mid_run else [])
    runs.first.responses.extend([BUSY, BUSY, BUSY])
    answers = [replace(SECOND_CALL, thinking=()), ANSWER] if is_mid_run else [SECOND_CALL, ANSWER]
    runs.second.responses.extend(answers)
    run = create_run(runs.stores, runs.agent().with_reasoning("low"))
    runs.advance(run)
    assert runs.record(run).output == {"content": "Here."}
    has_reasoning = ["thinking" in received.json for received in runs.second.received]
    assert has_reasoning == [not is_mid_run, not is_mid_run]


def test_both_apis_show_the_route_in_use(runs: FallbackRuns) -> None:
    runs.first.responses.extend([CALL, BUSY, BUSY, BUSY])
    runs.second.responses.append(ANSWER)
    run, events = runs.run_to_end()
    assert (run.route_id, run.model, run.model_in_use) == ("first", "first", "second")
    assert listed_view(run, Decimal(1))["model"] == "second"
    [switch] = switches_of(events)
    view = event_view(switch, run)
    assert view["type"] == "run.recovered"
    assert (view["data"]["failed_route"], view["data"]["route"]) == ("first", "second")
    # An event never changes: the start still shows the route at the start.
    assert event_view(events[0], run)["data"]["route_id"] == "first"
    assert event_view(events[0], run)["data"]["model"] == "first"
    asked = [span for span in runs.spans if span.name.startswith("chat")]
    assert [span.name for span in asked] == ["chat first"] * 4 + ["chat second"]
    assert asked[-1].attributes["gen_ai.provider.name"] == "anthropic"


@pytest.mark.parametrize(
    "failure",
    [
        ProviderFailure(400, "invalid_request_error"),
        ProviderFailure(400, "content_filter"),
        ProviderFailure(401, "invalid_api_key"),
        ProviderFailure(429, "insufficient_quota"),
        ChatResponse(["I"], finish_reason="content_filter"),
    ],
    ids=str,
)
def test_a_rejected_request_never_goes_to_another_provider(
    runs: FallbackRuns, failure: ProviderFailure | ChatResponse
) -> None:
    runs.first.responses.extend([CALL, failure])
    _, events = runs.run_to_end()
    assert events[-1].data["error"]["code"] == "model_rejected"
    assert runs.second.received == []


def test_a_denial_in_words_is_an_answer_of_the_route(runs: FallbackRuns) -> None:
    runs.first.responses.append(ChatResponse(["I cannot help with that."]))
    run, events = runs.run_to_end()
    assert run.output == {"content": "I cannot help with that."}
    assert switches_of(events) == []


def test_deltas_of_the_abandoned_response_are_void(runs: FallbackRuns) -> None:
    cut = ChatResponse(["Half", " a", " response"], cut_after=3)
    runs.first.responses.extend([cut, cut, cut])
    runs.second.responses.append(ANSWER)
    run, _ = runs.run_to_end()
    valid: list[str] = []
    reasons: list[str] = []
    for event in runs.stores.log.events(run.id):
        if event.type == "agent.response.delta":
            valid.append(event.data["delta"])
        elif event.type == "run.recovered":
            reasons.append(event.data["reason"])
            assert event_view(event, run)["type"] == "run.recovered"
            valid.clear()
    assert "".join(valid) == "Here."
    assert reasons == ["model_interrupted", "model_interrupted", "model_fallback"]


def test_a_long_retry_after_leads_to_the_next_route_at_once(runs: FallbackRuns) -> None:
    runs.first.responses.append(ProviderFailure(429, "rate_limit_exceeded", retry_after="3600"))
    runs.second.responses.append(ANSWER)
    run, _ = runs.run_to_end()
    assert run.output == {"content": "Here."}
    assert len(runs.first.received) == 1


def test_an_open_circuit_leads_to_the_next_route_without_a_request(runs: FallbackRuns) -> None:
    for _ in range(FAILURES_IN_A_ROW):
        runs.circuits.of("openai:first").record_failure("The provider is overloaded.")
    runs.second.responses.append(ANSWER)
    run, events = runs.run_to_end()
    assert run.output == {"content": "Here."}
    assert runs.first.received == []
    [switch] = switches_of(events)
    assert "Not tried again, after 5 failures in a row" in switch.data["error"]["message"]


def test_another_worker_stays_on_the_route_of_the_log(runs: FallbackRuns) -> None:
    runs.first.responses.extend([BUSY, BUSY, BUSY, CALL])
    runs.second.responses.extend([BUSY, BUSY, BUSY])
    run = runs.start()
    with pytest.raises(ModelUnavailableError):
        runs.advance(run)
    runs.second.responses.append(ANSWER)
    runs.advance(run)
    assert runs.record(run).output == {"content": "Here."}
    assert len(runs.first.received) == 3
    assert len(switches_of(runs.events(run))) == 1


def test_the_error_names_the_last_cause_of_each_route(runs: FallbackRuns) -> None:
    runs.first.responses.extend([BUSY, BUSY, BUSY])
    limited = ProviderFailure(429, "rate_limit_error", retry_after="3600")
    runs.second.responses.append(limited)
    _, events = runs.run_to_end()
    error = events[-1].data["error"]
    assert error["code"] == "model_unavailable"
    assert error["provider"]["status"] == 429
    message = error["message"]
    assert message.startswith("No route answered. first: The provider could not answer (HTTP 503")
    assert " second: The provider limits the rate (HTTP 429" in message
    assert "The provider asks to wait until 2" in message


def test_a_worker_without_time_leaves_the_next_route_to_another(runs: FallbackRuns) -> None:
    """The first route times out after a second, the second needs 300: the worker has 20."""
    agent = runs.agent()
    slow = agent.model_copy(update={"route": agent.route.model_copy(update={"timeout": 1})})
    run = create_run(runs.stores, slow)
    runs.first.responses.extend([BUSY, BUSY, BUSY])
    assert runs.advance(run, seconds=20).outcome == "more"
    assert runs.second.received == []
    runs.second.responses.append(ANSWER)
    assert runs.advance(run).outcome == "finished"
    assert runs.record(run).output == {"content": "Here."}
    assert len(runs.first.received) == 3


def test_files_are_prepared_for_the_provider_in_use(runs: FallbackRuns) -> None:
    file = runs.stores.files.save("p", NewFile("a.png", "image/png", BytesIO(PNG)))
    runs.first.responses.extend([CALL, BUSY, BUSY, BUSY])
    runs.second.responses.append(ANSWER)
    run = runs.start(file_ids=(file.id,))
    runs.advance(run)
    assert runs.record(run).output == {"content": "Here."}
    first, second = runs.first.received[0].json, runs.second.received[0].json
    kinds = [part["type"] for part in first["messages"][1]["content"]]
    assert "image_url" in kinds
    [image] = [part for part in second["messages"][0]["content"] if part["type"] == "image"]
    assert image["source"]["media_type"] == "image/png"


def test_a_daily_cap_is_held_at_the_price_of_the_dearest_route(runs: FallbackRuns) -> None:
    """The fallback route costs a hundred times as much; the cap only covers the first route."""
    project, day = f"fallback-{new_id()}", timestamp()[:10]
    cap = DailyCap(project, Decimal("0.1"))
    runs.worker = replace(runs.worker, project_daily_usd=cap.usd)
    runs.first.responses.append(ChatResponse(["Here."]))
    run = create_run(runs.stores, runs.agent(second_usd=1), project_id=project)
    runs.advance(run)
    assert runs.record(run).status == "completed"
    dear = create_run(runs.stores, runs.agent(second_usd=100), project_id=project)
    runs.advance(dear)
    error = runs.events(dear)[-1].data["error"]
    assert error["code"] == "limit_exceeded"
    assert len(runs.first.received) == 1
    committed, spent = runs.stores.spending.totals(cap, day)
    assert committed == spent
