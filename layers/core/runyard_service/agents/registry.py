"""The agents of this installation, as they stand now: read again whenever their files change.

Files that have become unreadable, or a store that does not answer, leave the agents as they were.
"""

import logging
from collections.abc import Hashable, Mapping

from runyard_service.agents import personas
from runyard_service.agents.agent_set import AgentSet
from runyard_service.agents.definitions.models import ReasoningMode, Route, Snapshot
from runyard_service.agents.definitions.source import AgentFiles
from runyard_service.agents.personas import Persona
from runyard_service.domain.errors import DefinitionError, StoreUnavailableError

_log = logging.getLogger(__name__)


class Catalog:
    """Every version of every agent in `files`.

    Each method raises DefinitionError or StoreUnavailableError where the files could not yet be
    read at all.
    """

    def __init__(self, files: AgentFiles) -> None:
        self._files = files
        self._read_at: Hashable = None
        self._agents: AgentSet | None = None
        self._trouble = ""

    def agent(self, name: str) -> Snapshot:
        """The agent `key@version`, or the newest version of `key`.

        Raises DefinitionError where there is none.
        """
        agents = self._now()
        definition = agents.find(name)
        if definition is None:
            raise DefinitionError(f"there is no agent {name!r}")
        return agents.snapshot(definition)

    def personas(self) -> list[Persona]:
        """Every version of every agent, by key, the newest version first."""
        return personas.personas(self._now())

    def routes(self) -> Mapping[str, Route]:
        """Every route by its name, in the order of `routes.yaml`."""
        return self._now().routes

    def chosen(
        self,
        persona: str,
        *,
        route_id: str | None = None,
        model: str | None = None,
        reasoning: ReasoningMode | None = None,
    ) -> Snapshot:
        """The persona `key` or `key@version`, on its own route or on the one that is asked for.

        `model` is a route's model with or without its provider; the first such route is taken.
        Raises InvalidRequestError naming each of `persona_id`, `route_id`, `model` that is wrong.
        """
        return personas.chosen(
            self._now(), persona, route_id=route_id, model=model, reasoning=reasoning
        )

    def _now(self) -> AgentSet:
        try:
            stamp = self._files.stamp()
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


def _read(files: AgentFiles) -> AgentSet:
    # YAML is loaded with it, which a request for a run should not have to wait for.
    from runyard_service.agents.definitions.loader import read_agents

    return read_agents(files.texts())
