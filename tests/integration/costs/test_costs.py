"""Test a thousand runs: their cost is exactly the sum of the costs of their steps."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from runyard_dev.access_key import ORG_ID
from runyard_dev.dev_stack import DevStack
from runyard_service.adapters.stores import Stores
from tests.support.service import Service

RUNS = 1000
MONEY_KEY = "ry_money_key"
CASES = ("four steps", "two steps", "one step", "rejected")
# Calculated from tests/agents/scripts/money.yaml and the prices of the route.
PRICES = {
    "input": Decimal("0.123457"),
    "cached": Decimal("0.012347"),
    "output": Decimal("3.000001"),
}
TOKENS = {
    "four steps": (904 + 2911 + 98 + 1, 333 + 2903, 411 + 17 + 1),
    "two steps": (999983 + 1000002, 1, 65537 + 7),
    "one step": (1, 0, 0),
    "rejected": (31, 0, 3),
}


def cost_by_hand(case: str) -> Decimal:
    counts = zip(TOKENS[case], PRICES.values(), strict=True)
    return sum((tokens * price for tokens, price in counts), Decimal(0)).scaleb(-6)


def exact(service: Service, path: str) -> Any:
    """Return the response of the service, with its numbers as written."""
    return json.loads(service.http.get(path).text, parse_float=Decimal)["data"]


@pytest.mark.timeout(600)
def test_the_cost_of_a_thousand_runs_is_the_sum_of_their_steps(
    stack: DevStack, stores: Stores
) -> None:
    stores.access_keys.save(MONEY_KEY, project_id="money", org_id=ORG_ID, agent="money")
    service = Service(stack.base_url, MONEY_KEY)

    def start(number: int) -> str:
        return str(service.create({"case": CASES[number % 4]}, background=True)["id"])

    def wait_for_end(run_id: str) -> dict[str, Any]:
        while "ended_at" not in (run := exact(service, f"/v1/runs/{run_id}")):
            time.sleep(0.5)
        run["events"] = exact(service, f"/v1/runs/{run_id}/events?page_size=500")
        return dict(run)

    with ThreadPoolExecutor(32) as pool:
        runs = list(pool.map(wait_for_end, list(pool.map(start, range(RUNS)))))
    service.close()

    of_runs, of_ends, of_steps = Decimal(0), Decimal(0), Decimal(0)
    for run in runs:
        *_, end = run["events"]
        assert run["usage"] == end["data"]["usage"]
        of_runs += run["usage"]["cost_usd"]
        of_ends += end["data"]["usage"]["cost_usd"]
        for event in run["events"]:
            if event["type"] == "agent.message.completed":
                of_steps += event["data"]["usage"]["cost_usd"]
    assert len({run["id"] for run in runs}) == RUNS
    assert of_runs == of_ends == of_steps
    assert of_runs == sum(map(cost_by_hand, CASES), Decimal(0)) * RUNS / 4
    records = (stores.runs.get(run["id"]) for run in runs)
    assert of_runs == sum((run.usage.cost_usd or 0 for run in records if run), Decimal(0))
