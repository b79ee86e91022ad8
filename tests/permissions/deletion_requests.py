"""Every deletion request of the API."""

import io
import json
from typing import TYPE_CHECKING

from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.run_deletion import FENCED_SECONDS
from runyard_service.domain.clock import timestamp_in

if TYPE_CHECKING:
    from tests.permissions.api_requests import Walk


def call_deletions(walk: "Walk", large: str) -> None:
    """Delete a thread, and runs that ended long ago: the API deletes all of their data at once."""
    # Reading a list writes position markers, which a deletion has to remove.
    walk.call("GET", "/v1/runs")
    form = {"files": ("note.txt", io.BytesIO(b"hello"), "text/plain")}
    payload = {
        "input": json.dumps({"case": "two input requests", "text": large}),
        "background": "true",
    }
    run_id = str(walk.call("POST", "/v1/runs", data=payload, files=form)["data"]["id"])
    walk.run_other_functions(run_id)
    walk.call("POST", f"/v1/runs/{run_id}/cancel")
    _delete(walk, run_id)
    threads = "/threads/v1/threads"
    thread_id = walk.thread()
    run = walk.call("POST", f"{threads}/{thread_id}/runs", json={"persona_id": "crashes"})
    _delete(walk, str(run["run_id"]))
    walk.call("DELETE", f"{threads}/{thread_id}")


def _delete(walk: "Walk", run_id: str) -> None:
    walk.run_other_functions(run_id)
    # So long after its end, no worker of the run can write any more.
    fields = {"ended_at": timestamp_in(-2 * FENCED_SECONDS)}
    walk.harness.stores.deleted_runs.records.update(keys.run(run_id), fields)
    walk.call("DELETE", f"/v1/runs/{run_id}")
    assert walk.harness.stores.log.last(run_id)[0] == 0, "its log is gone"
