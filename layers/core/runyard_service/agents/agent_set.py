"""All agents of an installation at one moment: every version, every route, every script."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runyard_service.agents.definitions.models import AgentDefinition, Route, Snapshot


@dataclass(frozen=True)
class AgentSet:
    """What the files say, once they are without a fault."""

    definitions: Mapping[str, Mapping[str, AgentDefinition]]
    """By key, then by version, the newest first."""
    routes: Mapping[str, Route]
    """By name, in the order of `routes.yaml`."""
    scripts: Mapping[str, Mapping[str, Any]]
    """By the name that a `scripted:` route gives."""

    def find(self, name: str) -> AgentDefinition | None:
        """The agent `key@version`, or the newest version of `key`."""
        key, at, version = name.partition("@")
        versions = self.definitions.get(key, {})
        return versions.get(version) if at else next(iter(versions.values()), None)

    def snapshot(self, definition: AgentDefinition, route_id: str | None = None) -> Snapshot:
        """The agent on its own route or on another that there is."""
        route_id = route_id or definition.route
        route = self.routes[route_id]
        script = self.scripts[route.model_name] if route.provider == "scripted" else None
        return Snapshot(definition=definition, route=route, route_id=route_id, script=script)


def newest_first(versions: Mapping[str, AgentDefinition]) -> dict[str, AgentDefinition]:
    """The versions of one agent, the newest first."""
    order = sorted(versions, key=lambda version: (_natural(version), version), reverse=True)
    return {version: versions[version] for version in order}


def _natural(version: str) -> list[tuple[int, int, str]]:
    """Versions in the order people mean: 2 before 10, 1.9 before 1.10."""
    return [
        (1, int(part), "") if part.isdigit() else (0, 0, part)
        for part in re.split(r"[._-]", version)
    ]
