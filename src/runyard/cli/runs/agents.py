"""What commands of runs need to know about agents."""

from collections.abc import Mapping
from typing import Any

import click

from runyard.cli.session import Answer, Session, api_path

_PAGE_SIZE = 500


def input_schema(session: Session, agent: str | None) -> Mapping[str, Any]:
    """Return the input schema of the agent that a run would have; empty if there is none.

    Without a name it is the key's own agent, or the default one.
    """
    from runyard.client.errors import NotFound

    name = agent or session.get("/v1/me").json["data"].get("agent")
    if name is None:
        found = _default_agent(session)
    else:
        try:
            found = session.get(agent_path(name)).json["data"]
        except NotFound:
            return {}  # The create says which agents exist.
    schema: Mapping[str, Any] = found.get("input_schema") or {}
    return schema


def complete_agent(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of agents for the completion of a shell; none if there is no service."""
    from runyard.client.configuration import ConfigurationError
    from runyard.client.errors import RunyardError

    del param
    names = ("profile", "url", "project")
    session = Session("quiet", {name: ctx.params.get(name) for name in names})
    try:
        found = [agent["name"] for agent in list_agents(session).json["data"]]
    except (ConfigurationError, RunyardError):
        return []
    finally:
        session.close()
    return [name for name in found if name.startswith(incomplete)]


def agent_path(name: str) -> str:
    """Return the path of an agent, `name` or `name@version`."""
    return api_path("agents", name)


def list_agents(session: Session) -> Answer:
    """Return the first page of the agents that the key may start."""
    return session.get("/v1/agents", page_size=_PAGE_SIZE)


def _default_agent(session: Session) -> Mapping[str, Any]:
    agents: list[Mapping[str, Any]] = list_agents(session).json["data"]
    return next((agent for agent in agents if agent["is_default"]), {})
