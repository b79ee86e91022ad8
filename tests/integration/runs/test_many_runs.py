"""Test two hundred concurrent runs: each ends as scripted, with a complete log."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from runyard.cli.verify_stores import find_run_violations
from runyard_dev.dev_stack import DevStack
from runyard_service.adapters.stores import Stores
from tests.support.service import Service, assert_whole

RUNS = 200

# Per case: input, answers, and expected end.
CASES: list[tuple[dict[str, str], dict[str, Any] | None, str, str]] = [
    ({"ticket_subject": "Export is broken"}, None, "completed", "technical"),
    ({"ticket_subject": "x", "customer_id": "customer-7421"}, None, "completed", "technical"),
    ({"ticket_subject": "x", "customer_id": "customer-503"}, None, "completed", "technical"),
    ({"ticket_subject": "Help!"}, {"feedback": "account"}, "completed", "account"),
    (
        {"ticket_subject": "x", "ticket_body": "charged twice"},
        {"is_approved": True},
        "completed",
        "billing",
    ),
    (
        {"ticket_subject": "x", "ticket_body": "charged twice"},
        {"is_approved": False},
        "completed",
        "billing",
    ),
    ({"ticket_subject": "The model fails"}, None, "failed", ""),
]


@pytest.mark.timeout(300)
def test_two_hundred_runs_end_as_scripted(stack: DevStack, stores: Stores) -> None:
    service = Service(stack.base_url, stack.access_key)

    def complete_run(number: int) -> str:
        ticket, answer, status, category = CASES[number % len(CASES)]
        run = service.create(ticket, background=True)
        if answer is not None:
            asked = service.wait(run["id"], "awaiting_input", seconds=200)
            assert service.answer(asked, **answer).status_code == 200
        done = service.wait(run["id"], "completed", "failed", seconds=200)
        assert done["status"] == status
        assert done.get("output", {}).get("category", "") == category
        assert_whole(service.events(run["id"]))
        return str(run["id"])

    with ThreadPoolExecutor(RUNS) as pool:
        run_ids = list(pool.map(complete_run, range(RUNS)))
    service.close()
    assert len(set(run_ids)) == RUNS
    assert [find_run_violations(stores, run_id) for run_id in run_ids] == [[]] * RUNS
