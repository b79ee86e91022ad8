"""The restore drill of docs/how-to/restore.md, on a local stack.

`make test-deploy` runs the commands of the page itself, on an emulator of AWS.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from runyard.cli.verify_stores import verify_stores
from runyard_dev.dev_stack import DevStack
from runyard_dev.open_store import stores_of
from tests.support.restored_data import copy_bucket, restore_table
from tests.support.service import Service
from tests.support.threads_service import ThreadsService

DATA = ("EVENTS_TABLE", "RECORDS_TABLE", "BUCKET")
# Too large for an item: its content is an object in the bucket.
LARGE = "The invoice is wrong. " * 10_000


class Client:
    """A caller of both APIs of a stack."""

    def __init__(self, stack: DevStack) -> None:
        self.runs = Service(stack.base_url, stack.access_key)
        self.threads = ThreadsService(stack.base_url, stack.access_key)

    def create_data(self) -> dict[str, Any]:
        """Create each kind of data; return the ids of runs and threads."""
        ended = self.runs.create({"ticket_subject": "I was billed twice", "customer_id": "c-1"})
        waiting = self.runs.create({"ticket_subject": "Help!"})
        canceled = self.runs.create({"ticket_subject": "Help!"})
        for run in (waiting, canceled):
            self.runs.wait(run["id"], "awaiting_input")
        assert self.runs.http.post(f"/v1/runs/{canceled['id']}/cancel").status_code == 200
        thread = self.threads.thread("Thanks!")
        in_thread = self.threads.start(thread, "assistant")
        for run_id in (ended["id"], in_thread):
            self.runs.wait(run_id, "completed", "awaiting_input")
        self.threads.say(thread, LARGE)
        runs = [ended["id"], waiting["id"], canceled["id"], in_thread]
        return {"runs": runs, "thread": thread, "waiting": waiting["id"]}

    def read(self, created: dict[str, Any]) -> dict[str, Any]:
        """Return everything that both APIs return of this data."""
        thread = created["thread"]
        return {
            "runs": [self.runs.run(run) for run in created["runs"]],
            "events": [self.runs.events(run) for run in created["runs"]],
            "exports": [
                self.runs.http.get(f"/v1/runs/{run}/export").text for run in created["runs"]
            ],
            "list": self.runs.http.get("/v1/runs").json()["data"],
            "inbox": self.runs.http.get("/v1/input-requests").json()["data"],
            "thread": self.threads.get(f"/threads/{thread}"),
            "messages": self.threads.get(f"/threads/{thread}/messages"),
        }

    def complete(self, run_id: str) -> None:
        """Answer the run's input request; it completes."""
        response = self.runs.answer(self.runs.run(run_id), feedback="account")
        assert response.status_code == 200, response.text
        assert self.runs.wait(run_id, "completed", "failed")["status"] == "completed"


@contextmanager
def running(folder: Path, **variables: str) -> Iterator[tuple[DevStack, Client]]:
    """Run a stack on the folder; `variables` replace the parameters Existing…

    Only the test starts a sweep.
    """
    with DevStack.start(data_dir=folder, environment=variables, sweep_seconds=None) as stack:
        client = Client(stack)
        try:
            yield stack, client
        finally:
            client.runs.close()
            client.threads.close()


@pytest.fixture(scope="module")
def restored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Write data, restore it under other names, and start a stack that uses only the copies."""
    folder = tmp_path_factory.mktemp("restore")
    with running(folder) as (stack, client):
        created = client.create_data()
        before = client.read(created)
        own = {name: stack.environment[name] for name in DATA}
        copies = {name: f"{own[name]}-restored" for name in DATA}
        for name in ("EVENTS_TABLE", "RECORDS_TABLE"):
            restore_table(stack.client("dynamodb"), own[name], copies[name])
        copy_bucket(stack.client("s3"), own["BUCKET"], copies["BUCKET"])
        # After the time of the restore: the copies have neither the answer nor this run.
        client.complete(created["waiting"])
        later = client.runs.create({"ticket_subject": "Later"})["id"]
        client.runs.wait(later, "completed", "failed", "awaiting_input")
    with running(folder, **copies) as (stack, client):
        for name in ("EVENTS_TABLE", "RECORDS_TABLE"):
            stack.client("dynamodb").delete_table(TableName=own[name])
        yield {
            **{"stack": stack, "client": client, "created": created, "later": later},
            **{"before": before, "after": client.read(created)},
        }


@pytest.mark.parametrize(
    "part", ["runs", "events", "exports", "list", "inbox", "thread", "messages"]
)
def test_restored_data_reads_back_equal(restored: dict[str, Any], part: str) -> None:
    assert restored["before"][part], "the test has such data"
    assert restored["after"][part] == restored["before"][part]


def test_nothing_after_the_time_of_the_restore_exists(restored: dict[str, Any]) -> None:
    assert restored["client"].runs.http.get(f"/v1/runs/{restored['later']}").status_code == 404


def test_a_restored_run_that_waited_takes_an_answer(restored: dict[str, Any]) -> None:
    """Its execution and its task token are lost: the sweep starts another execution."""
    client, stack = restored["client"], restored["stack"]
    run_id = restored["created"]["waiting"]
    stack.sweep({"everything": True})
    client.complete(run_id)
    log = [event for event in client.runs.events(run_id) if not event["type"].endswith(".delta")]
    assert "run.recovered" in [event["type"] for event in log]
    assert verify_stores(stores_of(stack.environment)) == 0


def test_a_restored_stack_takes_new_runs(restored: dict[str, Any]) -> None:
    client = restored["client"]
    run_id = client.runs.create({"ticket_subject": "I was billed twice"})["id"]
    assert client.runs.wait(run_id, "completed", "awaiting_input")
