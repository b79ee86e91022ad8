"""The size of a model's context window."""

from functools import lru_cache

from runyard_service.agents.definitions.routes import Route


def context_window(route: Route) -> int | None:
    """Return the window in tokens, by the route or else the price table; None if it is unknown."""
    if route.context_window is not None or route.provider == "scripted":
        return route.context_window
    return _listed_window(route.provider, route.model_name, route.base_url)


@lru_cache(maxsize=256)
def _listed_window(provider: str, model_name: str, base_url: str | None) -> int | None:
    # Imported here because only routes of providers need the table.
    from genai_prices import Usage, calc_price

    try:
        if base_url is None or provider == "bedrock":
            found = calc_price(Usage(), model_name, provider_id=provider)
        else:
            # At another address the same model's name says nothing about its window.
            found = calc_price(Usage(), model_name, provider_api_url=base_url)
    except (LookupError, ValueError):
        return None
    return found.model.context_window
