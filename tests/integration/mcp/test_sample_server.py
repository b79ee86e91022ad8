"""Test the MCP server of the local stack, as its sample agent uses it."""

import json
import urllib.error
import urllib.request

import pytest

from runyard_dev.dev_stack import DevStack
from runyard_service.agents.mcp.base import InputRequired, ToolResult
from tests.support.mcp import McpClient, tool


@pytest.fixture
def client(stack: DevStack) -> McpClient:
    """Return a client of the server that `make dev` starts."""
    base = json.loads(stack.environment["AGENT_VARIABLES"])["CRM_URL"]
    return McpClient(f"{base}/mcp")


def test_orders_are_found(client: McpClient) -> None:
    listed = client.list()
    tools = {tool.name: tool for tool in listed.tools}

    result = client.call(tools["find_orders"], {"customer_id": "customer-7421"})

    assert (listed.protocol, sorted(tools)) == ("2026-07-28", ["find_orders", "open_return"])
    assert isinstance(result, ToolResult)
    assert json.loads(result.content)["orders"][0] == {"order_id": "4812", "state": "delivered"}


def test_a_return_is_opened_once_after_a_person_names_the_reason(client: McpClient) -> None:
    asked = client.call("open_return", {"order_id": "4812"})
    answer = {"reason": {"action": "accept", "content": {"reason": "damaged"}}}

    first, second = (
        client.call("open_return", {"order_id": "4812"}, input_responses=answer) for _ in range(2)
    )

    assert isinstance(asked, InputRequired)
    assert asked.requests["reason"]["message"] == "Why is order 4812 returned?"
    assert first == second == ToolResult("return-1 for order 4812: damaged", [])


def test_a_declined_return_is_not_opened(client: McpClient) -> None:
    result = client.call(
        tool("open_return"),
        {"order_id": "4812"},
        input_responses={"reason": {"action": "decline"}},
    )

    assert result == ToolResult("No return was opened: no reason was given.", [])


def test_other_requests_are_rejected(client: McpClient) -> None:
    request = urllib.request.Request(client.url, b"[]", method="POST")

    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(request)
