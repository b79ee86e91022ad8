"""What tokens cost by a route's own prices."""

from collections.abc import Mapping
from decimal import Decimal

from runyard_service.agents.definitions.routes import Route
from runyard_service.agents.models.base import TokenUsage
from runyard_service.domain.costs import rounded

MILLION = 1_000_000
# Input that is written to a cache, for five minutes and for one hour, as multiples of the price of
# input: Anthropic, "Prompt caching", "Pricing"; Amazon Bedrock, "Pricing".
_WRITE_FACTORS: Mapping[str, tuple[Decimal, Decimal]] = {
    "anthropic": (Decimal("1.25"), Decimal(2)),
    "bedrock": (Decimal("1.25"), Decimal(2)),
}


def price_by_route(route: Route, usage: TokenUsage) -> Decimal | None:
    """The price in USD of these tokens; None where the route has no prices of its own.

    Cached input costs the route's cached price, or the input price if there is none.
    """
    if route.input_usd_per_million is None or route.output_usd_per_million is None:
        return None
    cached_price = route.cached_input_usd_per_million
    if cached_price is None:
        cached_price = route.input_usd_per_million
    short_price, long_price = _write_prices(route, route.input_usd_per_million)
    long = usage.long_cache_write_tokens
    total = (
        usage.plain_input_tokens * route.input_usd_per_million
        + usage.cached_input_tokens * cached_price
        + (usage.cache_write_tokens - long) * short_price
        + long * long_price
        + usage.output_tokens * route.output_usd_per_million
    )
    return rounded(total / MILLION)


def _write_prices(route: Route, input_price: Decimal) -> tuple[Decimal, Decimal]:
    """Return the prices of input that is written to a cache for five minutes and for one hour."""
    if (own := route.cache_write_usd_per_million) is not None:
        return own, own
    short, long = _WRITE_FACTORS.get(route.provider, (Decimal(1), Decimal(1)))
    return short * input_price, long * input_price
