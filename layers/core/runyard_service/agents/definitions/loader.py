"""The agents' files, read and checked as a whole: whatever is wrong is told at once.

One YAML file for each version of an agent, whatever its name; `routes.yaml`; and in `scripts/` what
the `scripted:` routes play.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runyard_service.agents.definitions.errors import DefinitionIssue, raise_if_any
from runyard_service.agents.definitions.models import AgentDefinition, Route, Snapshot
from runyard_service.agents.definitions.script import Script
from runyard_service.agents.definitions.yaml_document import Document, read_document

ROUTES_FILE = "routes.yaml"
_SCRIPTS = "scripts/"


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


def read_agents(texts: Mapping[str, str], named: Mapping[str, str] | None = None) -> AgentSet:
    """The agents that these files define. `named` maps settings to the agents that they name.

    Raises DefinitionError with every fault of every file, one a line; a setting that names no agent
    is one of them.
    """
    faults: list[DefinitionIssue] = []
    documents = {
        file: document
        for file, text in sorted(texts.items())
        if (document := read_document(file, text, faults))
    }
    scripts = _scripts(documents, faults)
    routes = _routes(texts, documents, faults)
    definitions = _definitions(documents, faults)
    agents = AgentSet(
        definitions={key: _newest_first(definitions[key]) for key in sorted(definitions)},
        routes=routes,
        scripts=scripts,
    )
    if not faults:  # With one, the agent may well stand in the file that has it.
        faults += [
            DefinitionIssue("", 0, f"there is no agent {name!r}, which {setting} names")
            for setting, name in (named or {}).items()
            if not agents.find(name)
        ]
    raise_if_any(faults)
    return agents


def _scripts(
    documents: Mapping[str, Document], faults: list[DefinitionIssue]
) -> dict[str, dict[str, Any]]:
    scripts = {}
    for file, document in documents.items():
        if file.startswith(_SCRIPTS) and (script := document.checked(Script, faults)):
            name = file.removeprefix(_SCRIPTS).removesuffix(".yaml")
            scripts[name] = script.model_dump(mode="json", exclude_unset=True)
    return scripts


def _routes(
    texts: Mapping[str, str], documents: Mapping[str, Document], faults: list[DefinitionIssue]
) -> dict[str, Route]:
    if ROUTES_FILE not in texts:
        faults.append(DefinitionIssue(ROUTES_FILE, 0, "is missing"))
    document = documents.get(ROUTES_FILE)
    if document is None:
        return {}
    routes = {}
    for name in document.fields:
        route = document.checked(Route, faults, name)
        if route is None:
            continue
        routes[str(name)] = route
        script = f"{_SCRIPTS}{route.model_name}.yaml"
        if route.provider == "scripted" and script not in texts:
            faults.append(document.issue((name, "model"), f"there is no {script}"))
    return routes


def _definitions(
    documents: Mapping[str, Document], faults: list[DefinitionIssue]
) -> dict[str, dict[str, AgentDefinition]]:
    # Where the routes are faulty themselves, nothing is said of those who name one.
    routes = documents.get(ROUTES_FILE)
    files: dict[tuple[str, str], str] = {}
    definitions: dict[str, dict[str, AgentDefinition]] = {}
    for file, document in documents.items():
        if file == ROUTES_FILE or file.startswith(_SCRIPTS):
            continue
        definition = document.checked(AgentDefinition, faults)
        if definition is None:
            continue
        if routes and definition.route not in routes.fields:
            text = f"{ROUTES_FILE} has no route {definition.route!r}"
            faults.append(document.issue(("route",), text))
        key, version = definition.key, definition.version
        if (first := files.setdefault((key, version), file)) != file:
            text = f"{key}@{version} stands in {first} too"
            faults.append(document.issue(("version",), text))
        definitions.setdefault(key, {})[version] = definition
    return definitions


def _newest_first(versions: Mapping[str, AgentDefinition]) -> dict[str, AgentDefinition]:
    """The versions of one agent, the newest first."""
    order = sorted(versions, key=lambda version: (_natural(version), version), reverse=True)
    return {version: versions[version] for version in order}


def _natural(version: str) -> list[tuple[int, int, str]]:
    """Versions in the order people mean: 2 before 10, 1.9 before 1.10."""
    return [
        (1, int(part), "") if part.isdigit() else (0, 0, part)
        for part in re.split(r"[._-]", version)
    ]
