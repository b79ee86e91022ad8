"""Tools of MCP servers: selection, names, effects, approvals and limits."""

from collections.abc import Mapping
from typing import Any

import pytest

from runyard_service.agents.definitions.human_tools import ApprovalRule
from runyard_service.agents.definitions.mcp_servers import McpServer
from runyard_service.agents.definitions.models import AgentDefinition, Snapshot
from runyard_service.agents.definitions.routes import Route
from runyard_service.agents.definitions.tools import PinnedMcpTool
from runyard_service.agents.mcp.base import ListedTool, ToolList
from runyard_service.agents.mcp.pinned_tools import (
    check_lists,
    effective_definition,
    tools_listed,
)
from runyard_service.domain.errors import ToolsInvalidError

OWN_TOOL = {"kind": "http", "name": "look", "description": "Looks.", "url": "http://localhost"}


def snapshot(*entries: Mapping[str, Any]) -> Snapshot:
    """Return an agent with its own tool `look` and these tools of the server `crm`."""
    tools = [OWN_TOOL, *({"kind": "mcp", "server": "crm", **entry} for entry in entries)]
    definition = AgentDefinition.model_validate(
        {
            "key": "clerk",
            "version": "1",
            "instructions": "Help.",
            "route": "played",
            "input_schema": {"type": "object"},
            "tools": tools,
        }
    )
    return Snapshot(
        definition=definition,
        route=Route(model="scripted:tale"),
        route_id="played",
        mcp_servers={"crm": McpServer(url="https://crm.example/mcp", timeout=20)},
    )


def listed(*names: str, description: str = "A tool.", **annotations: Any) -> ToolList:
    """Return a server's list of these tools."""
    schema = {"type": "object", "properties": {"x": {"type": "string"}}}
    return ToolList(
        "2026-07-28", [ListedTool(name, description, schema, None, annotations) for name in names]
    )


def pinned(agent: Snapshot, tools: ToolList) -> dict[str, PinnedMcpTool]:
    """Return the tools that a run of the agent uses, by the model's names."""
    event = tools_listed(agent, "crm", tools)
    check_lists(agent.definition, [event])
    found = effective_definition(agent, {"crm": event}).callable_tools
    return {tool.name: tool for tool in found if isinstance(tool, PinnedMcpTool)}


def test_patterns_select_tools_and_the_server_prefixes_their_names() -> None:
    agent = snapshot({"include": ["search_*", "open"], "exclude": ["search_old"]})
    tools = listed("search.all", "search_new", "search_old", "open", "delete")
    assert list(pinned(agent, tools)) == ["crm_search_new", "crm_open"]


def test_patterns_that_match_no_tool_are_in_the_event() -> None:
    agent = snapshot(
        {"include": ["search_*", "find_*"], "exclude": ["search_old"]},
        {"include": ["open"], "prefix": "own_"},
    )
    event = tools_listed(agent, "crm", listed("search_new", "open"))
    assert event["unmatched"] == ["find_*", "search_old"]
    assert "unmatched" not in tools_listed(agent, "crm", listed("search_old", "find_x", "open"))


def test_characters_that_models_do_not_accept_are_replaced() -> None:
    agent = snapshot({"include": ["*"], "prefix": ""})
    assert list(pinned(agent, listed("search.all", "a b/c"))) == ["search_all", "a_b_c"]


def test_long_names_are_cut_and_stay_different() -> None:
    agent = snapshot({"include": ["*"]})
    names = list(pinned(agent, listed("x" * 80, "x" * 81)))
    assert [len(name) for name in names] == [64, 64]
    assert names[0] != names[1]


def test_a_tool_of_a_list_has_the_servers_own_name_and_timeout() -> None:
    agent = snapshot({"include": ["a.b"], "overrides": {"a.b": {"timeout": 5}}})
    assert pinned(agent, listed("a.b"))["crm_a_b"].listed.name == "a.b"
    assert pinned(agent, listed("a.b"))["crm_a_b"].timeout == 5
    assert pinned(snapshot({"include": ["*"]}), listed("a"))["crm_a"].timeout == 20


@pytest.mark.parametrize(
    ("entry", "annotations", "effect", "asks"),
    [
        ({}, {"readOnlyHint": True}, "unsafe", False),
        ({"effect": "none"}, {}, "none", False),
        ({"effect": "hints"}, {"readOnlyHint": True}, "none", False),
        ({"effect": "hints"}, {"idempotentHint": True}, "idempotent", False),
        ({"effect": "hints"}, {}, "unsafe", False),
        ({"effect": "hints"}, {"readOnlyHint": False}, "unsafe", False),
        ({"approval": "always"}, {}, "unsafe", True),
        ({"approval": "hints"}, {"readOnlyHint": True}, "unsafe", False),
        ({"approval": "hints"}, {}, "unsafe", True),
        (
            {"approval": "hints", "overrides": {"a": {"approval": "never", "effect": "none"}}},
            {},
            "none",
            False,
        ),
    ],
)
def test_effect_and_approval_of_a_tool(
    entry: Mapping[str, Any], annotations: Mapping[str, Any], effect: str, asks: bool
) -> None:
    tool = pinned(snapshot({"include": ["*"], **entry}), listed("a", **annotations))["crm_a"]
    assert (tool.effect, tool.approval) == (effect, ApprovalRule() if asks else None)


def test_stored_definitions_have_the_same_tools() -> None:
    overrides = {"a": {"approval": "never"}, "b": {"effect": "none"}}
    agent = snapshot({"include": ["*"], "approval": "always", "overrides": overrides})
    stored = Snapshot.from_stored(agent.to_stored())
    assert pinned(stored, listed("a", "b")) == pinned(agent, listed("a", "b"))


@pytest.mark.parametrize(
    ("entries", "tools", "error"),
    [
        ([{"include": ["*"], "prefix": ""}], listed("look"), "and another tool of the agent"),
        ([{"include": ["*"]}], listed("a.b", "a_b"), "'a_b' of the MCP server 'crm' and the tool"),
        ([{"include": ["a"]}, {"include": ["*"]}], listed("a"), "are both named 'crm_a'"),
        ([{"include": ["*"], "prefix": "final_"}], listed("output"), "both named 'final_output'"),
        ([{"include": ["*"]}], listed(*map(str, range(128))), "has 129 tools"),
        ([{"include": ["*"]}], listed("a", description="x" * 262_144), "may take 262144"),
    ],
)
def test_tools_that_no_model_can_be_given(
    entries: list[Mapping[str, Any]], tools: ToolList, error: str
) -> None:
    with pytest.raises(ToolsInvalidError, match=error):
        pinned(snapshot(*entries), tools)
