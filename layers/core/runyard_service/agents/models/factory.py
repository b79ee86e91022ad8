"""The choice of the model for a route, made without loading a provider that is not wanted.

A scripted run never asks for pydantic-ai, which costs a second or more of cold start. (A function
that is told to imports it while it starts: `bootstrap.preload_models`.)
"""

from collections.abc import Mapping
from typing import Any

from runyard_service.agents.definitions.models import Route
from runyard_service.agents.models.base import Model
from runyard_service.domain.errors import DefinitionError


def model_for(route: Route, script: Mapping[str, Any] | None, api_key: str | None) -> Model:
    """The model that `route` names; `script` is the dialogue of a `scripted:` route.

    Raises DefinitionError where the route cannot be used as it is written.
    """
    if route.provider == "scripted":
        from runyard_service.agents.models.scripted import ScriptedModel

        if script is None:
            raise DefinitionError(f"There is no script named {route.model_name!r}.")
        return ScriptedModel(route, script)

    from runyard_service.agents.models.provider_model import ProviderModel

    return ProviderModel(route, api_key)
