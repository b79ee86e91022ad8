"""Test the orders agent, whose tools come from the MCP server of the local stack."""

from collections.abc import Iterator

import pytest

from runyard_dev.access_key import ORG_ID, PROJECT_ID
from runyard_dev.dev_stack import DevStack
from runyard_service.adapters.stores import Stores
from tests.support.service import Service


@pytest.fixture
def orders(stack: DevStack, stores: Stores) -> Iterator[Service]:
    """Yield the service with a key of the agent."""
    stores.access_keys.save("ry_orders", project_id=PROJECT_ID, org_id=ORG_ID, agent="orders")
    service = Service(stack.base_url, "ry_orders")
    yield service
    service.close()


def test_the_shop_asks_a_person_and_opens_the_return(orders: Service) -> None:
    run = orders.create({"customer_id": "customer-7421"})
    (request,) = run["input_requests"]

    orders.answer(run, feedback={"reason": "damaged"})
    done = orders.wait(run["id"], "completed")

    assert request["prompt"] == "Why is order 4812 returned?"
    assert request["params"]["form"]["required"] == ["reason"]
    assert "for order 4812: damaged" in done["output"]["summary"]


def test_the_tools_are_listed_once(orders: Service) -> None:
    run = orders.create({"customer_id": "customer-7421"})
    orders.answer(run, feedback={"reason": "wrong item"})
    orders.wait(run["id"], "completed")

    listed = [each for each in orders.events(run["id"]) if each["type"] == "agent.tools.listed"]

    (event,) = listed
    assert event["data"]["server"] == "shop"
    assert [tool["as"] for tool in event["data"]["tools"]] == [
        "shop_find_orders",
        "shop_open_return",
    ]
