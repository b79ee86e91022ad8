"""Test conditional approvals in real runs: every kind of condition, end to end."""

from collections.abc import Iterator
from typing import Any

import pytest

from runyard_dev.access_key import ORG_ID, PROJECT_ID
from runyard_dev.dev_stack import DevStack
from runyard_service.adapters.stores import Stores
from tests.support.service import Service

CONDITIONS_KEY = "ry_conditions_key"

# By kind of condition: arguments that need approval, and arguments that do not. The second
# of the first list cannot be evaluated: an argument is missing or has the wrong type.
CASES: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "equals": ([{"amount": 120}, {"amount": "120"}], {"amount": 121}),
    "equals_null": ([{"note": None}, {}], {"note": "x"}),
    "one_of": ([{"amount": 5000}, {"amount": [5000]}], {"amount": 50}),
    "contains": ([{"note": "gone abroad"}, {}], {"note": "at home"}),
    "matches": ([{"note": "Pay it NOW"}, {}], {"note": "pay later"}),
    "above": ([{"amount": 5000}, {"amount": "5000"}], {"amount": 100}),
    "below": ([{"amount": 5}, {}], {"amount": 100}),
    "exists": ([{"note": "x"}], {}),
    "value": ([{"amount": 120}, {}], {"amount": 121}),
}


@pytest.fixture(scope="module")
def conditions(stack: DevStack, stores: Stores) -> Iterator[Service]:
    """Yield the service for a key of the agent in `tests/agents/conditions.yaml`."""
    stores.access_keys.save(
        CONDITIONS_KEY, project_id=PROJECT_ID, org_id=ORG_ID, agent="conditions"
    )
    running = Service(stack.base_url, CONDITIONS_KEY)
    yield running
    running.close()


@pytest.mark.parametrize(
    ("case", "arguments"),
    [(case, arguments) for case, (asked, _) in CASES.items() for arguments in asked],
)
def test_approval_is_requested_if_the_condition_holds_or_cannot_be_evaluated(
    conditions: Service, case: str, arguments: dict[str, Any]
) -> None:
    run = conditions.create({"case": case, **arguments})
    assert run["status"] == "awaiting_input"
    (request,) = run["input_requests"]
    assert request["type"] == "approval_request"
    assert request["params"] == {"amount": None, "note": None, **arguments}
    types = [event["type"] for event in conditions.events(run["id"])]
    assert "agent.tool_call.completed" not in types
    assert conditions.answer(run, is_approved=False).status_code == 200
    assert conditions.wait(run["id"], "completed")["output"] == {"content": "Done."}


@pytest.mark.parametrize(("case", "arguments"), [(case, free) for case, (_, free) in CASES.items()])
def test_approval_is_not_requested_if_the_condition_does_not_hold(
    conditions: Service, case: str, arguments: dict[str, Any]
) -> None:
    run = conditions.create({"case": case, **arguments})
    assert run["status"] == "completed", run
    types = [event["type"] for event in conditions.events(run["id"])]
    assert "agent.tool_call.completed" in types
    assert "approval_request.created" not in types
