"""Runs in every state that a page of the console shows."""

from dataclasses import dataclass
from typing import Any

import httpx

from tests.support.wait_until import wait_until

TICKET = {
    "ticket_subject": "Charged twice for June invoice",
    "ticket_body": "Hi, my card was charged twice this month. Order #4812.",
}


@dataclass
class Samples:
    """The ids of the runs, by their state."""

    waiting: str
    asking: str
    form: str
    failed: str
    completed: str
    canceled: str


def start(api: httpx.Client, run_input: dict[str, Any] = TICKET, **fields: Any) -> dict[str, Any]:
    """Start a run and return it."""
    response = api.post("/v1/runs", json={"input": run_input, **fields})
    assert response.status_code in (200, 202), response.text
    return response.json()["data"]  # type: ignore[no-any-return]


def start_until(
    api: httpx.Client, status: str, run_input: dict[str, Any] = TICKET, **fields: Any
) -> str:
    """Start a run; return its id when it has the status."""
    run_id = str(start(api, run_input, **fields)["id"])

    def is_there() -> bool:
        return bool(api.get(f"/v1/runs/{run_id}").json()["data"]["status"] == status)

    wait_until(is_there, 30)
    return run_id


def events(api: httpx.Client, run_id: str) -> list[dict[str, Any]]:
    """Return the first 500 events of the run."""
    response = api.get(f"/v1/runs/{run_id}/events", params={"page_size": 500})
    return response.json()["data"]  # type: ignore[no-any-return]


def create_samples(api: httpx.Client) -> Samples:
    """Start a run for each state."""
    canceled = start_until(api, "awaiting_input", user_id="ben")
    assert api.post(f"/v1/runs/{canceled}/cancel").is_success
    start_until(api, "completed", {"ticket_subject": "Export", "customer_id": "customer-503"})
    return Samples(
        completed=start_until(
            api, "completed", {"ticket_subject": "The export is broken"}, user_id="carla"
        ),
        canceled=canceled,
        failed=start_until(api, "failed", {"ticket_subject": "The model fails"}, user_id="dora"),
        form=start_until(api, "awaiting_input", {"case": "address"}, agent="people"),
        asking=start_until(api, "awaiting_input", {"ticket_subject": "Help!"}, user_id="emil"),
        waiting=start_until(api, "awaiting_input", user_id="fay"),
    )
