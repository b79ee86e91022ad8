"""Test runs that reach a limit, on the real state machine: they fail, or a person raises it."""

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from runyard.cli.verify_stores import find_run_violations
from runyard_dev.access_key import ORG_ID, PROJECT_ID
from runyard_dev.dev_stack import DevStack
from runyard_service.adapters.stores import Stores
from runyard_service.agents.definitions.models import HIGHEST_LIMITS, Limits
from runyard_service.agents.definitions.routes import Route
from runyard_service.agents.definitions.source import AgentDirectory
from runyard_service.agents.registry import Registry
from runyard_service.application.runs.start_run import NewRun, start_run
from tests.support.orchestrators import make_orchestrator
from tests.support.servers.openai_server import ChatResponse, ChatToolCall, ChatUsage, OpenAIServer
from tests.support.service import Service, assert_whole

Start = Callable[..., str]


@pytest.fixture
def start(stack: DevStack, stores: Stores) -> Start:
    """Return a function that starts a run of `tests/agents/budgets.yaml` with other limits."""
    agent = Registry(AgentDirectory(Path(stack.environment["AGENTS_DIR"]))).agent("budgets")

    def start_case(case: str, **limits: Any) -> str:
        definition = agent.definition.model_copy(update={"limits": Limits(**limits)})
        snapshot = agent.model_copy(update={"definition": definition})
        request = NewRun(org_id=ORG_ID, project_id=PROJECT_ID, input={"case": case})
        return start_run(stores, make_orchestrator(stack), snapshot, request).id

    return start_case


# Limits that are reached: case, name, value, usage at that time, message.
LIMITS: list[tuple[str, str, float, float, str]] = [
    ("three steps", "steps", 2, 2, "the run has taken its 2 steps"),
    (
        *("three steps", "tokens", 500, 400),
        "the next response may not fit what the run has left of its 500 tokens",
    ),
    (
        *("three steps", "usd", 0.6, 0.5),
        "the next response may not fit what the run has left of its 0.6 USD",
    ),
    (
        "long",
        "tokens",
        600,
        600,
        "the run was cut off in the middle of a response by its 600 tokens",
    ),
    ("slow", "wall_clock_seconds", 1, 1, "the run has worked for its 1 seconds"),
]
limits = pytest.mark.parametrize(("case", "name", "limit", "used", "message"), LIMITS)


@limits
def test_a_run_that_reaches_a_limit_fails(
    service: Service, start: Start, case: str, name: str, limit: float, used: float, message: str
) -> None:
    failed = service.wait(start(case, **{name: limit}), "failed", "completed")
    assert failed["error"] == {"code": "limit_exceeded", "message": message}
    assert_whole(service.events(failed["id"]))
    assert failed["usage"].get("cost_usd", 0) <= 1.9


@limits
def test_a_run_that_reaches_a_limit_requests_a_higher_limit(
    service: Service,
    stores: Stores,
    start: Start,
    case: str,
    name: str,
    limit: float,
    used: float,
    message: str,
) -> None:
    run_id = start(case, on_limit="ask", **{name: limit})
    asked = service.wait(run_id, "awaiting_input", "failed", "completed")
    if name == "steps":
        # No call is made where no response could follow. An approval makes the second call.
        types = [event["type"] for event in service.events(run_id)]
        assert types.count("agent.tool_call.started") == 1
    [request] = asked["input_requests"]
    assert request["type"] == "approval_request"
    params = {"limit": name, "used": used, "current_limit": limit, "new_limit": limit * 2}
    assert request["params"] == params
    assert request["editable_params"] == ["new_limit"]
    assert request["tool"]["name"] == "raise_limit"
    new_limit = request["params_schema"]["properties"]["new_limit"]
    assert new_limit["type"] == ("number" if name == "usd" else "integer")
    assert (new_limit["exclusiveMinimum"], new_limit["maximum"]) == (used, HIGHEST_LIMITS[name])
    assert service.answer(asked, is_approved=True, params={"new_limit": 5000}).status_code == 200
    done = service.wait(run_id, "completed", "failed")
    assert done["status"] == "completed", done
    events = service.events(run_id)
    assert_whole(events)
    created = next(e["data"] for e in events if e["type"] == "approval_request.created")
    assert created["tool"] == {"name": "raise_limit", "type": "limit", "effect": "none"}
    assert "tool_call_id" not in created
    assert find_run_violations(stores, run_id) == []


def test_a_waiting_run_shows_its_usage(service: Service, start: Start) -> None:
    asked = service.wait(start("three steps", on_limit="ask", steps=2), "awaiting_input")
    assert asked["usage"] == {
        "input_tokens": 300,
        "output_tokens": 100,
        "cached_input_tokens": 100,
        "cache_write_tokens": 40,
        "cost_usd": 0.5,
        "steps": 2,
    }
    usages = [event["data"].get("usage", {}) for event in service.events(asked["id"])]
    assert [usage["cache_write_tokens"] for usage in usages if "cache_write_tokens" in usage] == [
        40
    ]


def test_a_limit_that_is_not_raised_fails_the_run_with_the_reason(
    service: Service, stores: Stores, start: Start
) -> None:
    asked = service.wait(start("three steps", on_limit="ask", steps=2), "awaiting_input")
    answer = service.answer(asked, is_approved=False, feedback="It turns in circles.")
    assert answer.status_code == 200
    failed = service.wait(asked["id"], "failed")
    assert failed["error"] == {
        "code": "limit_exceeded",
        "message": "a person denied raising the limit of 2 steps: It turns in circles.",
    }
    assert find_run_violations(stores, asked["id"]) == []


def test_a_raised_limit_is_requested_again_when_it_is_reached(
    service: Service, start: Start
) -> None:
    asked = service.wait(start("three steps", on_limit="ask", steps=1), "awaiting_input")
    assert service.answer(asked, is_approved=True).status_code == 200
    seen = asked["input_requests"][0]["id"]
    while (again := service.wait(asked["id"], "awaiting_input"))["input_requests"][0]["id"] == seen:
        pass
    assert again["input_requests"][0]["params"]["current_limit"] == 2
    assert service.answer(again, is_approved=True).status_code == 200
    assert service.wait(asked["id"], "completed")["usage"]["steps"] == 3


@pytest.mark.parametrize(
    ("new_limit", "issue"),
    [
        (2, "must be greater than the amount used"),
        (1e308, "must be at most 10000"),
        (10_001, "must be at most 10000"),
        (-1, "must be greater than the amount used"),
        (2.5, "must be an integer"),
        ("3", "must be a number"),
        (True, "must be a number"),
        (None, "must be a number"),
    ],
)
def test_a_limit_cannot_be_raised_to_an_invalid_value(
    service: Service, start: Start, new_limit: Any, issue: str
) -> None:
    asked = service.wait(start("three steps", on_limit="ask", steps=2), "awaiting_input")
    rejected = service.answer(asked, is_approved=True, params={"new_limit": new_limit})
    assert rejected.status_code == 400
    assert rejected.json()["error"]["details"] == {"params.new_limit": issue}
    other = service.answer(asked, is_approved=True, params={"limit": "usd"})
    assert other.json()["error"]["details"] == {"params.limit": "cannot be changed"}
    assert service.http.post(f"/v1/runs/{asked['id']}/cancel").status_code == 200


def test_a_canceled_run_closes_its_limit_request(
    service: Service, stores: Stores, start: Start
) -> None:
    asked = service.wait(start("three steps", on_limit="ask", steps=2), "awaiting_input")
    assert service.http.post(f"/v1/runs/{asked['id']}/cancel").status_code == 200
    assert [r.state for r in stores.input_requests.of_run(asked["id"])] == ["void"]
    assert find_run_violations(stores, asked["id"]) == []


def test_an_interrupted_response_is_requested_again(service: Service, start: Start) -> None:
    asked = service.wait(start("long", on_limit="ask", tokens=600), "awaiting_input")
    assert service.answer(asked, is_approved=True).status_code == 200
    done = service.wait(asked["id"], "completed")
    assert done["output"] == {"content": "The short one."}
    assert done["usage"]["output_tokens"] == 500 + 10
    responses = [
        event["data"].get("truncated_by")
        for event in service.events(asked["id"])
        if event["type"] == "agent.message.completed"
    ]
    assert responses == ["tokens", None]


def test_deltas_of_an_interrupted_response_are_superseded(service: Service, start: Start) -> None:
    asked = service.wait(start("slow", on_limit="ask", wall_clock_seconds=1), "awaiting_input")
    types = [event["type"] for event in service.events(asked["id"])]
    assert types[-3:] == ["run.recovered", "approval_request.created", "run.paused"]
    assert service.http.post(f"/v1/runs/{asked['id']}/cancel").status_code == 200


PRICES = {
    "input_usd_per_million": Decimal(3),
    "output_usd_per_million": Decimal(15),
    "cached_input_usd_per_million": Decimal("0.3"),
}


def start_at(
    server: OpenAIServer,
    stack: DevStack,
    stores: Stores,
    fields: dict[str, Any],
    prices: dict[str, Decimal] | None = None,
) -> str:
    """Start a run of the same agent with the server as its model; return its id."""
    agent = Registry(AgentDirectory(Path(stack.environment["AGENTS_DIR"]))).agent("budgets")
    snapshot = agent.model_copy(
        update={
            "definition": agent.definition.model_copy(update=fields),
            "route": Route.model_validate(
                {"model": "openai:some-model", "base_url": server.base_url, **(prices or {})}
            ),
            "script": None,
        }
    )
    request = NewRun(org_id=ORG_ID, project_id=PROJECT_ID, input={"case": "x"})
    return start_run(stores, make_orchestrator(stack), snapshot, request).id


def test_a_slow_provider_connection_is_closed_at_the_limit(
    stack: DevStack, stores: Stores, service: Service
) -> None:
    slow = ChatResponse(text=["word "] * 100, pause=0.2)
    with OpenAIServer(ChatResponse(text=["quick"]), slow) as server:
        # The first run loads the provider's library, which may take a second.
        service.wait(start_at(server, stack, stores, {}), "completed")
        run_id = start_at(server, stack, stores, {"limits": Limits(wall_clock_seconds=2)})
        failed = service.wait(run_id, "failed", "completed")
    assert failed["error"]["message"] == "the run has worked for its 2 seconds"
    assert failed["usage"]["duration_ms"] < 15_000
    types = [event["type"] for event in service.events(run_id)]
    assert "agent.response.delta" in types
    assert types[-2:] == ["run.recovered", "run.failed"]


def test_a_model_request_has_the_remaining_tokens_and_is_not_sent_if_it_may_not_fit(
    stack: DevStack, stores: Stores, service: Service
) -> None:
    call = ChatToolCall("lookup", ('{"customer_id": "customer-1"}',))
    responses = (
        ChatResponse(tool_calls=(call,), usage=ChatUsage(prompt=100, completion=20)),
        ChatResponse(tool_calls=(call,), usage=ChatUsage(prompt=130, completion=1000)),
        ChatResponse(text=("never",)),
    )
    with OpenAIServer(*responses) as server:
        budget = {"limits": Limits(tokens=2500), "max_output_tokens": 1000}
        run_id = start_at(server, stack, stores, budget)
        failed = service.wait(run_id, "failed", "completed")
        sent = [received.json["max_tokens"] for received in server.received]
    assert failed["error"]["code"] == "limit_exceeded"
    assert failed["usage"]["input_tokens"] + failed["usage"]["output_tokens"] == 1250
    # The first is limited by its bytes, the second by the usage; the third may not fit.
    assert sent == [1000, 1000]


def test_a_money_limit_without_a_price_fails_the_run(
    stack: DevStack, stores: Stores, service: Service
) -> None:
    agent = Registry(AgentDirectory(Path(stack.environment["AGENTS_DIR"]))).agent("tools")
    definition = agent.definition.model_copy(update={"limits": Limits(usd=Decimal(1))})
    request = NewRun(org_id=ORG_ID, project_id=PROJECT_ID, input={"case": "parallel"})
    snapshot = agent.model_copy(update={"definition": definition})
    failed = service.wait(
        start_run(stores, make_orchestrator(stack), snapshot, request).id, "failed"
    )
    assert failed["error"]["code"] == "definition_invalid"
    assert "requires a price" in json.dumps(failed["error"])


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(tokens=10_000), "reports token usage"),
        (Limits(usd=Decimal(1)), "a response has none"),
    ],
)
def test_a_limit_without_counts_fails_the_run_after_its_first_response(
    stack: DevStack, stores: Stores, service: Service, limits: Limits, words: str
) -> None:
    with OpenAIServer(ChatResponse(text=("done",), usage=None)) as server:
        run_id = start_at(server, stack, stores, {"limits": limits}, PRICES)
        failed = service.wait(run_id, "failed", "completed")
    assert failed["error"]["code"] == "definition_invalid"
    assert words in failed["error"]["message"]


def test_cached_tokens_apart_from_the_prompt_cost_money(
    stack: DevStack, stores: Stores, service: Service
) -> None:
    call = ChatToolCall("lookup", ('{"customer_id": "customer-1"}',))
    usage = ChatUsage(prompt=100, completion=10, cached=5000)
    with OpenAIServer(*[ChatResponse(tool_calls=(call,), usage=usage)] * 20) as server:
        budget = {"limits": Limits(usd=Decimal("0.05")), "max_output_tokens": 1000}
        run_id = start_at(server, stack, stores, budget, PRICES)
        failed = service.wait(run_id, "failed", "completed")
    assert failed["error"]["code"] == "limit_exceeded"
    assert 0 < failed["usage"]["cost_usd"] <= 0.05
