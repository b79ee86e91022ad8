"""What tokens cost by a route's own prices."""

from decimal import Decimal

from runyard_service.agents.definitions.routes import Route
from runyard_service.agents.models.base import TokenUsage
from runyard_service.domain.costs import rounded

MILLION = 1_000_000


def price_by_route(route: Route, usage: TokenUsage) -> Decimal | None:
    """The price in USD of these tokens; None where the route has no prices of its own.

    Cached input costs the route's cached price, or the input price if there is none.
    """
    if route.input_usd_per_million is None or route.output_usd_per_million is None:
        return None
    cached_price = route.cached_input_usd_per_million
    if cached_price is None:
        cached_price = route.input_usd_per_million
    total = (
        (usage.input_tokens - usage.cached_input_tokens) * route.input_usd_per_million
        + usage.cached_input_tokens * cached_price
        + usage.output_tokens * route.output_usd_per_million
    )
    return rounded(total / MILLION)
