"""The rest of a run's limits, which bounds the next response."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pytest

from runyard_service.agents.definitions.models import Limits
from runyard_service.agents.definitions.routes import Route
from runyard_service.agents.models.base import ModelEvent, ModelRequest, TokenUsage, UserMessage
from runyard_service.agents.models.pricing import price_by_route
from runyard_service.application.steps.budget import SHORTEST_RESPONSE_TOKENS, Budget, fit_to_budget
from runyard_service.domain.errors import DefinitionError, LimitExceededError
from runyard_service.domain.events import NewEvent, assign_sequences
from runyard_service.domain.history.history import History

REQUEST = ModelRequest("", [UserMessage("Hello?")], max_output_tokens=1000)
# An input token costs 1 USD, an output token 2 USD.
MILLION = Decimal(10**6)
DEAR = Route(model="openai:x", input_usd_per_million=MILLION, output_usd_per_million=2 * MILLION)


@dataclass
class Bounded:
    """A model with a fixed bound of usage; it records the last request."""

    most: TokenUsage
    route: Route = DEAR
    last_request: ModelRequest | None = None

    def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Raise AssertionError: no test calls it."""
        raise AssertionError("unexpected model call")

    def max_usage(self, request: ModelRequest) -> TokenUsage:
        """Return the bound."""
        self.last_request = request
        return self.most

    def cost_of(self, usage: TokenUsage) -> Decimal | None:
        """Return the cost by the route's prices."""
        return price_by_route(self.route, usage)


def history_after(**usage: Any) -> History:
    """Return the history of a run with one response of this usage."""
    data = {"content": "", "iteration": 1, "usage": usage}
    return History.of(
        assign_sequences([NewEvent(type="agent.message.completed", data=data)], after=0)
    )


USED = history_after(input_tokens=100, output_tokens=100, cost_usd=300.0)


def budget(**limits: Any) -> Budget:
    return Budget(Limits(**limits), USED)


@pytest.mark.parametrize(
    ("limits", "most", "longest", "truncated_by"),
    [
        ({"tokens": 2000}, (800, 1000), 1000, ""),
        ({"tokens": 2000}, (801, 1000), 999, "tokens"),
        (
            {"tokens": 2000},
            (1800 - SHORTEST_RESPONSE_TOKENS, 1000),
            SHORTEST_RESPONSE_TOKENS,
            "tokens",
        ),
        ({"tokens": 500}, (250, 50), 50, ""),
        ({"usd": 3300}, (1000, 1000), 1000, ""),
        ({"usd": 3299}, (1000, 1000), 999, "usd"),
        ({"usd": "3299.5"}, (1000, 1000), 999, "usd"),
        ({"usd": 3000, "tokens": 1800}, (1000, 1000), 600, "tokens"),
        ({"usd": 2400, "tokens": 1800}, (1000, 1000), 550, "usd"),
    ],
)
def test_a_response_may_be_as_long_as_the_rest_allows(
    limits: dict[str, Any], most: tuple[int, int], longest: int, truncated_by: str
) -> None:
    model = Bounded(TokenUsage(*most))
    allowed = fit_to_budget(budget(**limits), model, REQUEST, is_capped=False)
    assert (allowed.request.max_output_tokens, allowed.truncated_by) == (longest, truncated_by)
    assert allowed.worst_usd == most[0] + 2 * longest


@pytest.mark.parametrize(
    ("limits", "most", "limit"),
    [
        ({"tokens": 2000}, (1801 - SHORTEST_RESPONSE_TOKENS, 1000), "tokens"),
        ({"tokens": 500}, (251, 50), "tokens"),
        ({"tokens": 500}, (600, 50), "tokens"),
        ({"usd": 1300}, (1000, 1000), "usd"),
        ({"usd": 600}, (1000, 1000), "usd"),
    ],
)
def test_a_response_that_may_exceed_the_rest_is_not_requested(
    limits: dict[str, Any], most: tuple[int, int], limit: str
) -> None:
    with pytest.raises(LimitExceededError, match="may not fit") as caught:
        fit_to_budget(budget(**limits), Bounded(TokenUsage(*most)), REQUEST, is_capped=False)
    assert caught.value.limit == limit


def test_a_request_without_a_budget_is_unchanged() -> None:
    model = Bounded(TokenUsage(10**9, 10**9))
    assert fit_to_budget(budget(), model, REQUEST, is_capped=False).request is REQUEST
    assert model.last_request is None
    capped = fit_to_budget(budget(), Bounded(TokenUsage(5, 7)), REQUEST, is_capped=True)
    assert capped.request.max_output_tokens == 7
    assert capped.worst_usd == 19


def test_a_reply_truncated_at_the_default_length_may_be_followed_by_a_shorter_one() -> None:
    endless = replace(REQUEST, max_output_tokens=None)
    allowed = fit_to_budget(
        budget(tokens=10**6), Bounded(TokenUsage(1, 4096)), endless, is_capped=False
    )
    assert (allowed.request.max_output_tokens, allowed.truncated_by) == (4096, "max_output_tokens")
    used = {"input_tokens": 1, "output_tokens": 4096}
    data = {"content": "", "iteration": 1, "usage": used, "truncated_by": allowed.truncated_by}
    data["truncated"] = True
    cut = History.of(
        assign_sequences([NewEvent(type="agent.message.completed", data=data)], after=0)
    )
    Budget(Limits(tokens=10**6), cut).check()


def test_the_model_gets_the_providers_token_count() -> None:
    model = Bounded(TokenUsage(1, 1))
    fit_to_budget(budget(tokens=1000), model, REQUEST, is_capped=False)
    assert model.last_request == replace(REQUEST, last_usage=TokenUsage(100, 100))
    uncounted = Budget(Limits(tokens=1000), history_after(input_tokens=0, output_tokens=0))
    fit_to_budget(uncounted, model, REQUEST, is_capped=False)
    assert model.last_request == REQUEST


def test_the_count_of_another_conversation_is_no_bound_of_this_one() -> None:
    model = Bounded(TokenUsage(1, 1))
    fit_to_budget(budget(tokens=1000), model, REQUEST, is_capped=False, is_continued=False)
    assert model.last_request == REQUEST


@pytest.mark.parametrize(("limits", "is_capped"), [({"usd": 1}, False), ({}, True)])
def test_a_cost_limit_needs_a_known_price(limits: dict[str, Any], is_capped: bool) -> None:
    model = Bounded(TokenUsage(1, 1), Route(model="openai:x"))
    with pytest.raises(DefinitionError, match="requires a price"):
        fit_to_budget(budget(**limits), model, REQUEST, is_capped=is_capped)


@pytest.mark.parametrize(
    ("limits", "used", "error"),
    [
        ({"usd": 1}, {"input_tokens": 5, "output_tokens": 5}, "a response has none"),
        ({"tokens": 100}, {"input_tokens": 0, "output_tokens": 0}, "reports token usage"),
    ],
)
def test_a_token_limit_needs_usage_from_the_provider(
    limits: dict[str, Any], used: dict[str, int], error: str
) -> None:
    with pytest.raises(DefinitionError, match=error):
        Budget(Limits(**limits), history_after(**used)).check_counted()
    Budget(Limits(), history_after(**used)).check_counted()


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"steps": 1}, "the run has taken its 1 steps"),
        ({"tokens": 200}, "the run has used its 200 tokens"),
        ({"usd": "300.0"}, "the run has spent its 300 USD"),
    ],
)
def test_a_reached_limit_is_named(limits: dict[str, Any], message: str) -> None:
    with pytest.raises(LimitExceededError) as caught:
        budget(**limits).check()
    assert str(caught.value) == message


def test_a_raised_limit_replaces_the_agents_own() -> None:
    raised = history_after(input_tokens=100, output_tokens=100)
    raised.limit_overrides["tokens"] = Decimal(400)
    assert Budget(Limits(tokens=200), raised).left("tokens") == 200
