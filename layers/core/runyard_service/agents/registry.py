"""The agents of this installation: every version, every route, every script, read from files.

The files are read again whenever they change. If they have become invalid, or the store does not
answer, the agents that were read before remain.
"""

import logging
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runyard_service.agents.definitions.known_fields import known_names
from runyard_service.agents.definitions.model_settings.support import guardrail_problem
from runyard_service.agents.definitions.models import Snapshot
from runyard_service.agents.definitions.routes import ReasoningMode, Route
from runyard_service.agents.definitions.source import AgentSource
from runyard_service.domain.errors import DefinitionError, StoreUnavailableError
from runyard_service.domain.request_errors import InvalidRequestError

if TYPE_CHECKING:
    from runyard_service.agents.definitions.loader import AgentSet

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Persona:
    """One version of an agent on its own route, and whether it is what its key alone means."""

    snapshot: Snapshot
    is_newest: bool


def personas(agents: "AgentSet") -> list[Persona]:
    """Every version of every agent, by key, the newest version first."""
    return [
        Persona(agents.snapshot(definition), is_newest=index == 0)
        for versions in agents.definitions.values()
        for index, definition in enumerate(versions.values())
    ]


def names_near(agents: "AgentSet", name: str) -> Iterable[str]:
    """Return the names that a caller can use instead of an unknown one.

    These are the versions of its agent, or all agents if the agent is unknown too.
    """
    key = name.partition("@")[0]
    versions = agents.definitions.get(key, {})
    return [f"{key}@{version}" for version in versions] or agents.definitions


def resolve(
    agents: "AgentSet",
    persona: str,
    *,
    field: str = "persona_id",
    may_use: Callable[[str], bool] = lambda _: True,
    route_id: str | None = None,
    model: str | None = None,
    reasoning: ReasoningMode | None = None,
) -> Snapshot:
    """Return the persona `key` or `key@version` with its own or the requested route.

    Raise InvalidRequestError with an error for each unknown name, or if the route does not apply
    the guardrail of the agent. `field` is the name of the field with the persona. Its error lists
    the known names for which `may_use` returns True.
    """
    definition = agents.find(persona)
    errors = {}
    if definition is None:
        known = known_names(persona, filter(may_use, names_near(agents, persona)))
        errors[field] = f"{field.removesuffix('_id')} {persona!r} does not exist{known}"
    if route_id and route_id not in agents.routes:
        errors["route_id"] = f"route {route_id!r} does not exist"
    elif model:
        fitting = [name for name, route in agents.routes.items() if route.serves(model)]
        if not fitting:
            errors["model"] = f"no route uses model {model!r}"
        elif route_id and route_id not in fitting:
            errors["model"] = f"route {route_id!r} uses model {agents.routes[route_id].model!r}"
        route_id = route_id or next(iter(fitting), None)
    if definition is None or errors:
        raise InvalidRequestError(errors)
    snapshot = agents.snapshot(definition, route_id)
    routes = [snapshot.route, *(fallback.route for fallback in snapshot.fallback)]
    if problem := next(
        filter(None, (guardrail_problem(definition, route) for route in routes)), ""
    ):
        raise InvalidRequestError({"route_id": problem})
    return snapshot if reasoning is None else snapshot.with_reasoning(reasoning)


class Registry:
    """Every version of every agent in `files`.

    Each method raises DefinitionError or StoreUnavailableError where the files could not yet be
    read at all.
    """

    def __init__(self, files: AgentSource) -> None:
        self._files = files
        self._read_at: Hashable = None
        self._agents: AgentSet | None = None
        self._trouble = ""

    def agent(self, name: str) -> Snapshot:
        """The agent `key@version`, or the newest version of `key`.

        Raise DefinitionError if there is none.
        """
        agents = self._now()
        definition = agents.find(name)
        if definition is None:
            raise DefinitionError(f"there is no agent {name!r}")
        return agents.snapshot(definition)

    def personas(self) -> list[Persona]:
        """Every version of every agent, by key, the newest version first."""
        return personas(self._now())

    def routes(self) -> Mapping[str, Route]:
        """Every route by its name, in the order of `routes.yaml`."""
        return self._now().routes

    def resolve(
        self,
        persona: str,
        *,
        field: str = "persona_id",
        may_use: Callable[[str], bool] = lambda _: True,
        route_id: str | None = None,
        model: str | None = None,
        reasoning: ReasoningMode | None = None,
    ) -> Snapshot:
        """Return the persona `key` or `key@version` with its own or the requested route.

        `model` is a route's model with or without its provider; the first such route is taken.
        Raise InvalidRequestError with an error for each invalid `field`, `route_id`, `model`. The
        error of an unknown persona lists the known names for which `may_use` returns True.
        """
        return resolve(
            self._now(),
            persona,
            field=field,
            may_use=may_use,
            route_id=route_id,
            model=model,
            reasoning=reasoning,
        )

    def _now(self) -> "AgentSet":
        try:
            stamp = self._files.fingerprint()
            self._trouble = ""
            if self._agents is None or stamp != self._read_at:
                self._read_at = stamp
                self._agents = _read(self._files)
        except (DefinitionError, StoreUnavailableError) as error:
            if self._agents is None:
                raise
            if str(error) != self._trouble:  # Once, and not at every request.
                _log.error("agents not read again: %s", error)
            self._trouble = str(error)
        return self._agents


def _read(files: AgentSource) -> "AgentSet":
    # Imported here because it loads YAML, and most requests need no definitions.
    from runyard_service.agents.definitions.loader import read_agents

    return read_agents(files.read())
