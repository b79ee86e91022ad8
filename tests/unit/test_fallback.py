"""The routes that a run may still ask, what its log says about them, and what they cost."""

from collections.abc import Mapping
from decimal import Decimal

import pytest

from runyard_service.agents.definitions.loader import AgentSet, read_agents
from runyard_service.agents.definitions.models import Limits, Snapshot
from runyard_service.agents.definitions.routes import Route
from runyard_service.agents.models.base import ModelRequest, TokenUsage, UserMessage
from runyard_service.agents.models.scripted import ScriptedModel
from runyard_service.agents.registry import resolve
from runyard_service.application.steps.budget import Budget, DearestRoute, fit_to_budget
from runyard_service.application.steps.route_failures import retried_since
from runyard_service.domain.clock import parse
from runyard_service.domain.errors import DefinitionError, LimitExceededError
from runyard_service.domain.events import Event, EventType
from runyard_service.domain.history.history import History
from tests.support.histories import history_of

FILES = {
    "routes.yaml": (
        "first: { model: 'openai:m' }\n"
        "second: { model: 'anthropic:m' }\n"
        "played: { model: 'scripted:tale' }\n"
    ),
    "scripts/tale.yaml": "dialogues: [{ name: d, turns: [{ call: [{ tool: loook }] }] }]\n",
    "clerk.yaml": (
        'key: clerk\nversion: "1"\ninstructions: Help.\nroute: first\n'
        "fallback: [second, played]\ninput_schema: { type: object }\n"
    ),
}
AGENTS: AgentSet = read_agents(FILES)
SCRIPT = {
    "dialogues": [
        {"name": "d", "turns": [{"say": "x", "usage": {"input_tokens": 10, "output_tokens": 100}}]}
    ]
}
REQUEST = ModelRequest("", [UserMessage("Hello?")], max_output_tokens=1000)


def names(snapshot: Snapshot) -> list[str]:
    """Return the routes that a run on this snapshot may ask, in this order."""
    return [snapshot.route_id, *(each.route_id for each in snapshot.fallback)]


def model(usd: int | None) -> ScriptedModel:
    """Return a model with this price of a token in USD; None for a model without a price."""
    price = None if usd is None else usd * Decimal(10**6)
    route = Route(model="scripted:x", input_usd_per_million=price, output_usd_per_million=price)
    return ScriptedModel(route, SCRIPT)


def switched(failed_route: str, route: str) -> tuple[EventType, dict[str, object]]:
    error = {"code": "model_unavailable", "message": f"{failed_route} is down."}
    data = {"reason": "model_fallback", "failed_route": failed_route, "route": route}
    return "run.recovered", {**data, "error": error}


def response(**fields: str) -> tuple[EventType, dict[str, object]]:
    usage = {"input_tokens": 500, "output_tokens": 5}
    return "agent.message.completed", {"content": "", "iteration": 1, "usage": usage, **fields}


@pytest.mark.parametrize(
    ("route_id", "left"),
    [
        ("first", ["first", "second", "played"]),
        ("second", ["second", "played"]),
        ("played", ["played"]),
    ],
)
def test_a_run_never_returns_to_a_route_that_it_has_left(route_id: str, left: list[str]) -> None:
    own = resolve(AGENTS, "clerk")
    used = own.on_route(route_id)
    assert names(used) == left
    assert used.route == AGENTS.routes[route_id]
    assert (used.script is None) == (route_id != "played")
    # One switch after the other leads to the same snapshot as the newest name in the log.
    assert own.on_route(left[0]).on_route("played") == own.on_route("played")
    stored = Snapshot.from_stored(own.to_stored())
    assert stored.on_route(route_id) == used


def test_a_route_that_the_agent_does_not_have_is_an_error() -> None:
    with pytest.raises(ValueError, match="other"):
        resolve(AGENTS, "clerk").on_route("other")


@pytest.mark.parametrize(
    ("route_id", "left"),
    [("second", ["second", "played"]), ("played", ["played", "second"])],
)
def test_a_requested_route_is_asked_first_and_only_once(route_id: str, left: list[str]) -> None:
    assert names(resolve(AGENTS, "clerk", route_id=route_id)) == left


def test_requested_reasoning_also_applies_to_fallback_routes() -> None:
    snapshot = resolve(AGENTS, "clerk", reasoning="high")
    assert {name: snapshot.on_route(name).route.reasoning for name in names(snapshot)} == {
        "first": "high",
        "second": "high",
        "played": "high",
    }


def test_the_script_of_a_fallback_route_is_checked_against_its_agents() -> None:
    assert ["no agent of this script has the tool 'loook'" in text for text in AGENTS.warnings] == [
        True
    ]


def test_the_log_names_the_route_in_use_and_the_last_error_of_each_route_before() -> None:
    assert history_of(response()).route == ""
    history = history_of(switched("first", "second"), response(), switched("second", "played"))
    assert history.route == "played"
    assert history.failed_routes == {"first": "first is down.", "second": "second is down."}


def test_a_recovery_without_a_switch_does_not_change_the_route() -> None:
    recovered: tuple[EventType, dict[str, object]] = ("run.recovered", {"reason": "x"})
    assert history_of(switched("first", "second"), recovered).route == "second"


@pytest.mark.parametrize(("own", "other", "worst"), [(1, 3, 330), (3, 1, 330), (2, 2, 220)])
def test_the_budget_reserves_at_the_price_of_the_dearest_route(
    own: int, other: int, worst: int
) -> None:
    costs = DearestRoute(model(own), {"second": model(other)})
    history = history_of()
    for limits, is_capped in ((Limits(usd=Decimal(1000)), False), (Limits(), True)):
        fitted = fit_to_budget(Budget(limits, history), costs, REQUEST, is_capped=is_capped)
        assert fitted.worst_usd == worst
    budget = Budget(Limits(usd=Decimal(worst - 1)), history)
    with pytest.raises(LimitExceededError, match="may not fit"):
        fit_to_budget(budget, costs, REQUEST, is_capped=False)


def test_a_fallback_route_without_a_price_is_an_error_that_names_it() -> None:
    costs = DearestRoute(model(1), {"second": model(None)})
    with pytest.raises(DefinitionError, match="fallback route 'second' has none"):
        fit_to_budget(Budget(Limits(), history_of()), costs, REQUEST, is_capped=True)


class Recorder:
    """The costs of a model, with the last usage that it was asked about."""

    known: TokenUsage | None = None

    def max_usage(self, request: ModelRequest) -> TokenUsage:
        """Record what is known about the newest message."""
        self.known = request.last_usage
        return TokenUsage(1, 1)

    def cost_of(self, usage: TokenUsage) -> Decimal:
        """Return one USD."""
        return Decimal(1)


@pytest.mark.parametrize(
    ("history", "is_known"),
    [
        (history_of(response()), True),
        (history_of(response(), switched("first", "second")), False),
        (history_of(switched("first", "second"), response(route="second")), True),
        (history_of(response(route="first"), switched("first", "second")), False),
    ],
)
def test_the_tokens_that_another_provider_counted_do_not_bound_a_request(
    history: History, *, is_known: bool
) -> None:
    recorder = Recorder()
    fit_to_budget(Budget(Limits(tokens=10_000), history), recorder, REQUEST, is_capped=False)
    assert (recorder.known == TokenUsage(500, 5)) is is_known


@pytest.mark.parametrize(
    ("kinds", "since"),
    [
        (["started"], 0),
        (["started", "lost", "lost"], 0),
        (["started", "switched"], 1),
        (["started", "switched", "lost"], 1),
        (["started", "lost", "switched", "answered", "lost"], 3),
        (["started", "retried", "lost", "retried"], 0),
        (["started", "switched", "retried"], 1),
    ],
)
def test_each_route_has_the_whole_time_of_the_retries(kinds: list[str], since: int) -> None:
    """The tries of the route before it, which may take minutes, do not count."""
    event_of: dict[str, tuple[str, Mapping[str, object]]] = {
        "started": ("run.started", {}),
        "lost": ("run.recovered", {"reason": "step_interrupted"}),
        "retried": ("run.retrying", {"attempt": 1}),
        "switched": switched("first", "second"),
        "answered": response(route="second"),
    }
    history = History()
    for minute, kind in enumerate(kinds):
        type_, data = event_of[kind]
        history.apply(Event("e", type_, minute + 1, f"2026-11-28T12:0{minute}:00.000Z", data))
    assert retried_since(history) == parse(f"2026-11-28T12:0{since}:00.000Z")
