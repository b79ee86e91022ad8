"""Read and validate all agent files together, and report all their errors at once.

The files are one YAML file of any name for each agent version, `routes.yaml`, `mcp.yaml` with its
lock file if there are MCP servers, and in `scripts/` the scripts of the `scripted:` routes.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from runyard_service.agents.definitions.errors import DefinitionIssue, raise_if_any
from runyard_service.agents.definitions.mcp_servers import McpServer
from runyard_service.agents.definitions.model_settings.support import (
    setting_issues,
    tool_choice_issues,
)
from runyard_service.agents.definitions.models import AgentDefinition, FallbackRoute, Snapshot
from runyard_service.agents.definitions.references import (
    mcp_issues,
    prompt_issues,
    route_issues,
    script_issues,
)
from runyard_service.agents.definitions.routes import Route
from runyard_service.agents.definitions.script import Script
from runyard_service.agents.definitions.yaml_document import Document, read_document
from runyard_service.agents.mcp.digests import LOCK_FILE

ROUTES_FILE = "routes.yaml"
MCP_FILE = "mcp.yaml"
_SHARED_FILES = (ROUTES_FILE, MCP_FILE, LOCK_FILE)
_SCRIPTS = "scripts/"
# A server's name is the start of its tools' names.
_SERVER_NAME = re.compile(r"[A-Za-z0-9_-]{1,31}")


@dataclass(frozen=True)
class AgentSet:
    """The content of valid agent files."""

    definitions: Mapping[str, Mapping[str, AgentDefinition]]
    """By key, then by version, the newest first."""
    routes: Mapping[str, Route]
    """By name, in the order of `routes.yaml`."""
    scripts: Mapping[str, Mapping[str, Any]]
    """By the name in the `scripted:` route."""
    mcp_servers: Mapping[str, McpServer] = field(default_factory=dict)
    """By name, in the order of `mcp.yaml`."""
    mcp_lock: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """The digest of each locked tool, by server and name."""
    warnings: tuple[str, ...] = ()
    """What may be a mistake: a test can need a script that calls an unknown tool."""

    def find(self, name: str) -> AgentDefinition | None:
        """Return the agent `key@version`, or the newest version of `key`; None if there is none."""
        key, at, version = name.partition("@")
        versions = self.definitions.get(key, {})
        return versions.get(version) if at else next(iter(versions.values()), None)

    def snapshot(self, definition: AgentDefinition, route_id: str | None = None) -> Snapshot:
        """Return the agent with its own route or with the route `route_id`.

        Its fallback routes are those of the definition, without this route.
        """
        first, *rest = map(
            self._named_route,
            dict.fromkeys([route_id or definition.route, *definition.fallback]),
        )
        snapshot = Snapshot(definition=definition, **dict(first), fallback=tuple(rest))
        own_code = {"other_routes": tuple(map(self._named_route, definition.other_routes))}
        return snapshot.model_copy(
            update=self._summary_route(definition)
            | self._servers_of(definition)
            | (own_code if definition.other_routes else {})
        )

    def _named_route(self, name: str) -> FallbackRoute:
        return FallbackRoute(route=self.routes[name], route_id=name, script=self._script_of(name))

    def _summary_route(self, definition: AgentDefinition) -> dict[str, Route]:
        """Return the snapshot's `summary_route`, if the agent has one."""
        name = definition.context.summary_route if definition.context else None
        return {"summary_route": self.routes[name]} if name else {}

    def _servers_of(self, definition: AgentDefinition) -> dict[str, Mapping[str, Any]]:
        """Return the snapshot's `mcp_servers` and `mcp_lock`, if the agent uses MCP servers."""
        used = dict.fromkeys(tool.server for tool in definition.mcp_tools)
        if not used:
            return {}
        servers = {name: self.mcp_servers[name] for name in used}
        lock = {
            name: self.mcp_lock.get(name, {})
            for name, server in servers.items()
            if server.on_change != "allow"
        }
        return {"mcp_servers": servers, "mcp_lock": lock}

    def _script_of(self, route_id: str) -> Mapping[str, Any] | None:
        route = self.routes[route_id]
        return self.scripts[route.model_name] if route.provider == "scripted" else None


def read_agents(texts: Mapping[str, str]) -> AgentSet:
    """Return the agents that the files define.

    Raise DefinitionError with every error of every file, one per line.
    """
    issues: list[DefinitionIssue] = []
    documents = {
        file: document
        for file, text in sorted(texts.items())
        if (document := read_document(file, text, issues))
    }
    scripts = _scripts(documents, issues)
    routes = _routes(texts, documents, issues)
    servers = _mcp_servers(documents, issues)
    lock = _mcp_lock(documents, issues)
    definitions = _definitions(documents, routes, servers, issues)
    raise_if_any(issues)
    warnings = _script_issues(documents, scripts, routes, definitions)
    return AgentSet(
        definitions={key: _newest_first(definitions[key]) for key in sorted(definitions)},
        routes=routes,
        scripts={
            name: script.model_dump(mode="json", exclude_unset=True)
            for name, script in scripts.items()
        },
        mcp_servers={name: server for name, server in servers.items() if server},
        mcp_lock=lock,
        warnings=tuple(map(str, warnings)),
    )


def _scripts(documents: Mapping[str, Document], issues: list[DefinitionIssue]) -> dict[str, Script]:
    scripts = {}
    for file, document in documents.items():
        if file.startswith(_SCRIPTS) and (script := document.validate(Script, issues)):
            scripts[file.removeprefix(_SCRIPTS).removesuffix(".yaml")] = script
    return scripts


def _routes(
    texts: Mapping[str, str], documents: Mapping[str, Document], issues: list[DefinitionIssue]
) -> dict[str, Route]:
    if ROUTES_FILE not in texts:
        issues.append(DefinitionIssue(ROUTES_FILE, 0, "is missing"))
    document = documents.get(ROUTES_FILE)
    if document is None:
        return {}
    routes = {}
    for name in document.fields:
        route = document.validate(Route, issues, name)
        if route is None:
            continue
        routes[str(name)] = route
        script = f"{_SCRIPTS}{route.model_name}.yaml"
        if route.provider == "scripted" and script not in texts:
            issues.append(document.issue((name, "model"), f"there is no {script}"))
    return routes


def _mcp_servers(
    documents: Mapping[str, Document], issues: list[DefinitionIssue]
) -> dict[str, McpServer | None]:
    """Return the servers by name; None for an invalid one."""
    document = documents.get(MCP_FILE)
    servers: dict[str, McpServer | None] = {}
    if document is None:
        return servers
    for name in document.fields:
        if not _SERVER_NAME.fullmatch(name):
            text = "a server's name has 1 to 31 letters, digits, `_` or `-`"
            issues.append(document.issue((name,), text))
        servers[name] = document.validate(McpServer, issues, name)
    return servers


def _mcp_lock(
    documents: Mapping[str, Document], issues: list[DefinitionIssue]
) -> dict[str, Mapping[str, str]]:
    document = documents.get(LOCK_FILE)
    if document is None:
        return {}
    for server, digests in document.fields.items():
        if not isinstance(digests, dict):
            text = "must be a mapping of tools to digests; run `runyard agents mcp-lock` again"
            issues.append(document.issue((server,), text))
    return dict(document.fields)


def _definitions(
    documents: Mapping[str, Document],
    routes: Mapping[str, Route],
    servers: Mapping[str, McpServer | None],
    issues: list[DefinitionIssue],
) -> dict[str, dict[str, AgentDefinition]]:
    # Unknown routes are not reported if routes.yaml itself cannot be read.
    routes_file = documents.get(ROUTES_FILE)
    files: dict[tuple[str, str], str] = {}
    definitions: dict[str, dict[str, AgentDefinition]] = {}
    for file, document in documents.items():
        if file in _SHARED_FILES or file.startswith(_SCRIPTS):
            continue
        definition = document.validate(AgentDefinition, issues)
        if definition is None:
            continue
        issues += [document.issue(*found) for found in prompt_issues(definition)]
        issues += [document.issue(*found) for found in mcp_issues(definition, servers)]
        issues += [document.issue(*found) for found in tool_choice_issues(definition)]
        if definition.route in routes:
            found_issues = setting_issues(definition, routes[definition.route])
            issues += [document.issue(*found) for found in found_issues]
        if routes_file:
            unusable = route_issues(definition, routes_file.fields, routes)
            issues += [document.issue(*found) for found in unusable]
        key, version = definition.key, definition.version
        if (first := files.setdefault((key, version), file)) != file:
            text = f"{key}@{version} is also defined in {first}"
            issues.append(document.issue(("version",), text))
        definitions.setdefault(key, {})[version] = definition
    return definitions


def _script_issues(
    documents: Mapping[str, Document],
    scripts: Mapping[str, Script],
    routes: Mapping[str, Route],
    definitions: Mapping[str, Mapping[str, AgentDefinition]],
) -> Iterator[DefinitionIssue]:
    agents = [agent for versions in definitions.values() for agent in versions.values()]
    for name, script in scripts.items():
        users = [
            agent
            for agent in agents
            if f"scripted:{name}" in {routes[each].model for each in agent.routes}
        ]
        document = documents[f"{_SCRIPTS}{name}.yaml"]
        for found in script_issues(script, users) if users else ():
            yield document.issue(*found)


def _newest_first(versions: Mapping[str, AgentDefinition]) -> dict[str, AgentDefinition]:
    """Return the versions of one agent, the newest first."""
    order = sorted(versions, key=lambda version: (_natural(version), version), reverse=True)
    return {version: versions[version] for version in order}


def _natural(version: str) -> list[tuple[int, int, str]]:
    """Return the sort key of a version in natural order: 2 before 10, 1.9 before 1.10."""
    return [
        (1, int(part), "") if part.isdigit() else (0, 0, part)
        for part in re.split(r"[._-]", version)
    ]
