"""Costs: exact from the price calculation through events and sums to the response."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from runyard_service.agents.definitions.routes import Route
from runyard_service.agents.models.base import TokenUsage
from runyard_service.agents.models.pricing import price_by_route
from runyard_service.domain.costs import COST_STEP, from_number, rounded, to_number
from runyard_service.domain.runs import Usage, usage_payload

STEPS_OF_999_USD = 999 * 10**12

costs = st.integers(0, STEPS_OF_999_USD).map(lambda steps: steps * COST_STEP)


def through_json(cost: Decimal) -> Decimal:
    return from_number(json.loads(json.dumps(to_number(cost))))


@given(costs)
def test_a_cost_is_exact_as_a_json_number(cost: Decimal) -> None:
    assert through_json(cost) == cost


@given(st.lists(st.integers(0, STEPS_OF_999_USD // 50), max_size=50))
def test_a_sum_of_costs_is_exact_as_a_json_number(steps: list[int]) -> None:
    parts = [through_json(each * COST_STEP) for each in steps]
    total = sum(parts, Decimal(0))
    assert total == sum(steps) * COST_STEP
    assert through_json(total) == total


prices = st.integers(0, 10**9).map(lambda millionths: Decimal(millionths).scaleb(-6))


@given(prices, prices, st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_price_per_million_needs_no_rounding(
    input_price: Decimal, output_price: Decimal, input_tokens: int, output_tokens: int
) -> None:
    route = Route(
        model="scripted:x", input_usd_per_million=input_price, output_usd_per_million=output_price
    )
    price = price_by_route(route, TokenUsage(input_tokens, output_tokens))
    exact = (input_tokens * input_price + output_tokens * output_price).scaleb(-6)
    assert price == exact


def test_a_finer_price_is_rounded_half_up() -> None:
    assert rounded(Decimal("0.0000000000005")) == COST_STEP
    assert rounded(Decimal("0.00000000000049")) == 0


@pytest.mark.parametrize(("cached_price", "cost"), [(None, "0.001"), ("0.1", "0.00028")])
def test_cached_input_has_the_price_of_the_route(cached_price: str | None, cost: str) -> None:
    route = Route.model_validate(
        {
            "model": "scripted:x",
            "input_usd_per_million": 1,
            "output_usd_per_million": 2,
            "cached_input_usd_per_million": cached_price,
        }
    )
    assert price_by_route(route, TokenUsage(1000, 0, 800)) == Decimal(cost)


@pytest.mark.parametrize(
    ("model", "write_price", "short", "long"),
    [
        ("anthropic:x", None, "1.25", "2"),
        ("bedrock:x", None, "1.25", "2"),
        ("openai:x", None, "1", "1"),
        ("anthropic:x", "1.5", "1.5", "1.5"),
        ("openai:x", "0", "0", "0"),
    ],
)
def test_input_that_is_written_to_a_cache_has_its_own_price(
    model: str, write_price: str | None, short: str, long: str
) -> None:
    route = Route.model_validate(
        {
            "model": model,
            "input_usd_per_million": 1,
            "output_usd_per_million": 2,
            "cached_input_usd_per_million": "0.1",
            "cache_write_usd_per_million": write_price,
        }
    )
    million = 10**6
    plain_and_cached = Decimal("1.1")
    for_five_minutes = TokenUsage(3 * million, 0, million, million)
    assert price_by_route(route, for_five_minutes) == plain_and_cached + Decimal(short)
    for_an_hour = TokenUsage(3 * million, 0, million, million, million)
    assert price_by_route(route, for_an_hour) == plain_and_cached + Decimal(long)


@pytest.mark.parametrize("counts", [(10, 0, 6, 5), (10, 0, 0, 5, 6), (10, 0, 0, -1)])
def test_parts_of_the_input_cannot_exceed_it(counts: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="impossible token counts"):
        TokenUsage(*counts)


@pytest.mark.parametrize("prices", [{}, {"input_usd_per_million": 1, "output_usd_per_million": 1}])
def test_cached_input_cannot_cost_more_than_input(prices: dict[str, int]) -> None:
    with pytest.raises(ValidationError, match="cached_input_usd_per_million requires"):
        Route.model_validate({"model": "openai:x", "cached_input_usd_per_million": 2, **prices})


def test_the_cache_rate_is_unknown_without_cached_input() -> None:
    assert Usage(input_tokens=10).cache_hit_rate is None
    assert Usage(input_tokens=10, cached_input_tokens=4).cache_hit_rate == 0.4


@pytest.mark.parametrize(
    ("cost", "expected"), [(None, None), ("0", 0), ("0.0101", 11), ("2", 2000)]
)
def test_credits_are_rounded_up(cost: str | None, expected: int | None) -> None:
    usage = Usage(cost_usd=None if cost is None else Decimal(cost))
    assert usage.credits(Decimal(1000)) == expected


def test_the_usage_payload_has_only_known_values() -> None:
    payload = usage_payload(Usage(input_tokens=3, steps=1), "2026-01-01T00:00:00.000Z", None)
    assert payload == {"input_tokens": 3, "output_tokens": 0, "steps": 1}
    usage = Usage(cached_input_tokens=2, cache_write_tokens=3, cost_usd=Decimal("0.000000000001"))
    payload = usage_payload(usage, "2026-01-01T00:00:00.000Z", "2026-01-01T00:00:01.500Z")
    assert (payload["cached_input_tokens"], payload["cache_write_tokens"]) == (2, 3)
    assert json.dumps(payload["cost_usd"]) == "1e-12"
    assert payload["duration_ms"] == 1500
