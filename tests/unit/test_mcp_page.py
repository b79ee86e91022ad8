"""Test that the files on the page about MCP servers are valid."""

import re
from pathlib import Path

from runyard_service.agents.definitions.loader import read_agents
from runyard_service.agents.definitions.mcp_servers import McpServer
from runyard_service.agents.definitions.source import AgentDirectory

PAGE = Path("docs/how-to/mcp-servers.md").read_text(encoding="utf-8")


def test_the_files_of_the_page_are_valid() -> None:
    servers, agent = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    sample = AgentDirectory(Path("agents")).read()
    texts = {**sample, "mcp.yaml": sample["mcp.yaml"] + servers, "developer.yaml": agent}

    agents = read_agents(texts)

    assert agents.warnings == ()
    assert "github" in agents.mcp_servers


def test_the_page_lists_every_field_of_a_server() -> None:
    fields = McpServer.model_fields

    assert [name for name in fields if f"\n| `{name}` |" not in PAGE] == []
    defaults = dict(re.findall(r"\n\| `(\w+)` \| `?([^`|]+)`? \|", PAGE))
    assert defaults["timeout"] == str(fields["timeout"].default)
    assert defaults["max_result_bytes"] == str(fields["max_result_bytes"].default)
    assert defaults["on_change"] == fields["on_change"].default
