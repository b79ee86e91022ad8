"""`runyard agents`: the agents of the service, and the agent files of an installation."""

from collections.abc import Mapping
from typing import Any

import click

from runyard.cli.admin import agents as agent_files
from runyard.cli.runs.agents import agent_path, complete_agent, list_agents
from runyard.cli.session import Session, api_command

agents = agent_files.agents

COLUMNS = ("NAME", "VERSION", "MODEL", "DESCRIPTION")


@agents.command("list")
@api_command
def list_(session: Session) -> None:
    """List the agents that the access key can start."""
    answer = list_agents(session)
    found = answer.json["data"]
    session.show(
        answer, [each["name"] for each in found], lambda: session.table(COLUMNS, map(_row, found))
    )


def _row(agent: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(agent.get(name) or "") for name in ("name", "version", "model", "description"))


@agents.command()
@click.argument("name", shell_complete=complete_agent)
@api_command
def show(session: Session, *, name: str) -> None:
    """Show an agent: its schemas, tools, limits and route. NAME can be NAME@VERSION."""
    answer = session.get(agent_path(name))
    found = answer.json["data"]
    session.show(answer, [found["name"]], lambda: session.fields(_fields(found)))


def _fields(agent: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an agent, with one line for each tool."""
    tools = {
        f"tool {tool['name']}" if "name" in tool else f"tools of {tool['server']}": _describe(tool)
        for tool in agent["tools"]
    }
    return {name: value for name, value in agent.items() if name != "tools"} | tools


def _describe(tool: Mapping[str, Any]) -> str:
    asks = "  asks a person" if "approval" in tool or tool["kind"] == "ask_human" else ""
    return f"{tool['kind']}, effect {tool['effect']}{asks}  {tool.get('description', '')}".rstrip()
