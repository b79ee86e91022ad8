"""`runyard agents`: the agents of the service, and the agent files of an installation."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import click

from runyard.cli.admin import agents as agent_files
from runyard.cli.session import Session, api_command

agents = agent_files.agents

COLUMNS = ("NAME", "VERSION", "MODEL", "DESCRIPTION")


@agents.command("list")
@api_command
def list_(session: Session) -> None:
    """List the agents that the access key can start."""
    answer = session.get("/v1/agents")
    found = answer.json["data"]
    session.show(
        answer, [each["name"] for each in found], lambda: session.table(COLUMNS, map(_row, found))
    )


def _row(agent: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(agent.get(name) or "") for name in ("name", "version", "model", "description"))


@agents.command()
@click.argument("name")
@api_command
def show(session: Session, *, name: str) -> None:
    """Show an agent: its schemas, tools, limits and route. NAME can be NAME@VERSION."""
    answer = session.get(f"/v1/agents/{quote(name, safe='@')}")
    found = answer.json.get("data", answer.json)
    session.show(answer, [found["name"]], lambda: session.fields(found))
