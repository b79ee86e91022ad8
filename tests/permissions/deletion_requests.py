"""Every deletion that is asked of the API."""

import io
import json
from typing import TYPE_CHECKING

from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.run_deletion import FENCED_SECONDS
from runyard_service.domain.clock import timestamp_in

if TYPE_CHECKING:
    from tests.permissions.api_requests import Walk


def ask_deletions(walk: "Walk", large: str) -> None:
    """Delete runs that ended long ago, so that all that they have goes at once; and a thread."""
    # Lists that are read get marks, which a deletion has to remove.
    walk.ask("GET", "/v1/runs")
    form = {"files": ("note.txt", io.BytesIO(b"hello"), "text/plain")}
    payload = {"input": json.dumps({"case": "questions", "text": large}), "background": "true"}
    asking = str(walk.ask("POST", "/v1/runs", data=payload, files=form)["data"]["id"])
    walk.settle(asking)
    walk.ask("POST", f"/v1/runs/{asking}/cancel")
    _delete(walk, asking)
    threads = "/threads/v1/threads"
    thread_id = walk.thread()
    run = walk.ask("POST", f"{threads}/{thread_id}/runs", json={"persona_id": "crashes"})
    _delete(walk, str(run["run_id"]))
    walk.ask("DELETE", f"{threads}/{thread_id}")


def _delete(walk: "Walk", run_id: str) -> None:
    walk.settle(run_id)
    # No worker can be left of it that would write once more.
    fields = {"ended_at": timestamp_in(-2 * FENCED_SECONDS)}
    walk.world.stores.deleted_runs.records.update(keys.run(run_id), fields)
    walk.ask("DELETE", f"/v1/runs/{run_id}")
    assert walk.world.stores.log.last(run_id)[0] == 0, "its log is gone"
