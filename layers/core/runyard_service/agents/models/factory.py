"""Create the model of a route without loading unused providers.

A scripted run never imports pydantic-ai, which costs a second or more of cold start. (A function
can import it at its start: `preload_models`.)
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from runyard_service.agents.definitions.routes import Route
from runyard_service.agents.models.base import Model
from runyard_service.domain.errors import DefinitionError


def model_for(
    route: Route,
    script: Mapping[str, Any] | None,
    api_key: str | None,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> Model:
    """Return the model of `route`; `script` is the dialogue of a `scripted:` route.

    `variables` are the values of `${NAME}` in the route.
    Raise DefinitionError if the route cannot be used.
    """
    if route.provider == "scripted":
        from runyard_service.agents.models.scripted import ScriptedModel

        if script is None:
            raise DefinitionError(f"There is no script named {route.model_name!r}.")
        return ScriptedModel(route, script)

    from runyard_service.agents.models.providers.model import ProviderModel

    return ProviderModel(route, api_key, variables)
