"""Check agent files as an installation uses them: with its settings and known prices.

`runyard agents check`, `runyard agents publish`, a deployment and `make dev` use the same rules.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from runyard_service.agents.code.definition import is_local_file
from runyard_service.agents.definitions.errors import DefinitionIssue, raise_if_any
from runyard_service.agents.definitions.known_fields import suggestion
from runyard_service.agents.definitions.loader import (
    MCP_FILE,
    ROUTES_FILE,
    AgentSet,
    read_agents,
)
from runyard_service.agents.definitions.mcp_servers import BearerSecret, ClientCredentials
from runyard_service.agents.definitions.models import AgentDefinition
from runyard_service.agents.definitions.routes import Route
from runyard_service.agents.definitions.tools import HttpTool
from runyard_service.agents.definitions.yaml_document import Document, read_document
from runyard_service.agents.models.base import TokenUsage
from runyard_service.agents.models.factory import model_for
from runyard_service.agents.models.pricing import price_by_route
from runyard_service.agents.variables import variables_in
from runyard_service.domain.errors import DefinitionError
from runyard_service.settings import Settings


@dataclass(frozen=True)
class CheckedAgents:
    """Agents without errors, the agent that each setting selects, and warnings, one per line."""

    agents: AgentSet
    default_agents: Mapping[str, str]
    warnings: tuple[str, ...]


def check_agents(texts: Mapping[str, str], settings: Settings) -> CheckedAgents:
    """Return the agents that the files define.

    Raise DefinitionError with every error, one per line. A setting that names no agent of the
    files, a secret that no function may read, a function that no worker may invoke, and a limit in
    USD without a price are errors.
    """
    agents = read_agents(texts)
    chosen = _default_agents(agents, settings)
    documents = _documents(texts)
    issues = [
        DefinitionIssue("", 0, f"{setting} names the unknown agent {name!r}{hint}")
        for setting, name in chosen.items()
        if not agents.find(name)
        for hint in [suggestion(name, agents.definitions)]
    ]
    issues += _secret_issues(agents, documents, settings.model_secret_prefix)
    issues += _function_issues(agents, documents, settings.agent_function_prefix)
    issues += _price_issues(agents, documents)
    raise_if_any(issues)
    return CheckedAgents(agents, chosen, (*agents.warnings, *_variable_warnings(agents, settings)))


def _documents(texts: Mapping[str, str]) -> dict[str, Document]:
    """Return the files, which have no errors, by their names."""
    documents = {file: read_document(file, text, []) for file, text in texts.items()}
    return {file: document for file, document in documents.items() if document}


def _default_agents(agents: AgentSet, settings: Settings) -> dict[str, str]:
    """Return the default agent by the setting that names it.

    A setting that is set counts. Otherwise it is the sample agent, if the files have it, or else
    the only agent. The default of threads is then the default of runs.
    """
    names = list(agents.definitions)
    agent, persona = settings.default_agent, settings.default_persona
    if "default_agent" not in settings.model_fields_set and not agents.find(agent):
        if len(names) != 1:
            known = f" to one of {', '.join(names)}" if names else "; there are no agents"
            raise DefinitionError(f"no agent is the default: set DEFAULT_AGENT{known}")
        agent = names[0]
    if "default_persona" not in settings.model_fields_set and not agents.find(persona):
        persona = agent
    return {"DEFAULT_AGENT": agent, "DEFAULT_PERSONA": persona}


def _secret_issues(
    agents: AgentSet, documents: Mapping[str, Document], prefix: str
) -> Iterator[DefinitionIssue]:
    secrets: dict[tuple[str, ...], str | None] = {
        (ROUTES_FILE, name, "api_key_secret"): route.api_key_secret
        for name, route in agents.routes.items()
    }
    for name, server in agents.mcp_servers.items():
        match server.auth:
            case BearerSecret(secret=secret):
                secrets[MCP_FILE, name, "auth", "secret"] = secret
            case ClientCredentials(client_secret=secret):
                secrets[MCP_FILE, name, "auth", "client_secret"] = secret
    for (file, *steps), named in secrets.items():
        if named is not None and not named.startswith(prefix):
            yield documents[file].issue(
                steps,
                f"must begin with {prefix!r}, the parameter ModelSecretPrefix;"
                f" no function may read {named!r}",
            )


def _documents_by_agent(documents: Mapping[str, Document]) -> dict[tuple[Any, Any], Document]:
    """Return the documents by the key and the version of their agent."""
    return {
        (document.fields.get("key"), document.fields.get("version")): document
        for document in documents.values()
    }


def _function_issues(
    agents: AgentSet, documents: Mapping[str, Document], prefix: str
) -> Iterator[DefinitionIssue]:
    files = _documents_by_agent(documents)
    for agent in _definitions(agents):
        name = agent.function
        if name is not None and not (is_local_file(name) or name.startswith(prefix)):
            text = (
                f"must begin with {prefix!r}, the parameter AgentFunctionPrefix; Runyard may not"
                f" invoke {name!r}"
            )
            yield files[agent.key, agent.version].issue(("function",), text)


def check_deployable(agents: AgentSet) -> None:
    """Raise DefinitionError if an agent's function is in a file: AWS has no such function."""
    errors = [
        f"{agent.key}@{agent.version}: function: {agent.function!r} is a file, which only the local"
        " stack runs; deploy it as a Lambda function with an alias, and name that function"
        for agent in _definitions(agents)
        if agent.function is not None and is_local_file(agent.function)
    ]
    if errors:
        raise DefinitionError("\n".join(errors))


def _price_issues(agents: AgentSet, documents: Mapping[str, Document]) -> Iterator[DefinitionIssue]:
    files = _documents_by_agent(documents)
    for agent in _definitions(agents):
        limits = [
            name for name in ("usd", "usd_per_day") if getattr(agent.limits, name) is not None
        ]
        summary_route = agent.context.summary_route if agent.context else None
        names = [*agent.routes, *filter(None, [summary_route])]
        for limit, name in product(limits, names):
            route = agents.routes[name]
            if not _has_price(route):
                yield files[agent.key, agent.version].issue(
                    ("limits", limit),
                    "requires a price: set input_usd_per_million and output_usd_per_million of the"
                    f" route {name!r}, because the price table does not have {route.model!r}",
                )


def _has_price(route: Route) -> bool:
    usage = TokenUsage(input_tokens=1, output_tokens=1)
    if price_by_route(route, usage) is not None:
        return True
    if route.provider == "scripted":
        return False
    try:
        model = model_for(route, None, None)
    except ImportError:  # The function that publishes agents has no price table.
        return True
    return model.cost_of(usage) is not None


def _variable_warnings(agents: AgentSet, settings: Settings) -> Iterator[str]:
    known = settings.agent_variables
    users: dict[str, list[str]] = {}
    for where, texts in _texts_with_variables(agents):
        for name in dict.fromkeys(variables_in(texts)):
            users.setdefault(name, []).append(where)
    for name in sorted(users.keys() - known.keys()):
        where = ", ".join(users[name])
        yield f"${{{name}}} is not in AGENT_VARIABLES{suggestion(name, known)} ({where})"


def _texts_with_variables(agents: AgentSet) -> Iterator[tuple[str, Any]]:
    """Yield who uses texts with variables, and the texts."""
    for server_name, server in agents.mcp_servers.items():
        yield f"mcp.yaml {server_name}", [server.url, server.headers]
    for agent in _definitions(agents):
        for tool in agent.tools:
            if isinstance(tool, HttpTool):
                yield f"{agent.key}@{agent.version} {tool.name}", [tool.url, tool.headers]
    for route_name, route in agents.routes.items():
        yield f"routes.yaml {route_name}", [route.extra_headers, route.extra_body]


def _definitions(agents: AgentSet) -> Iterator[AgentDefinition]:
    for versions in agents.definitions.values():
        yield from versions.values()
