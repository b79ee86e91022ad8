"""Test the deletion of runs with all their data, and without data of others."""

import json
import re
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any

import pytest
from starlette.testclient import TestClient

from runyard.cli.verify_stores import find_run_violations, verify_stores
from runyard_dev.access_key import ORG_ID, PROJECT_ID
from runyard_dev.dev_stack import DevStack
from runyard_service.adapters import run_deletion
from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.dynamodb.access_keys import Scope
from runyard_service.adapters.dynamodb.files import NewFile
from runyard_service.adapters.dynamodb.run_index import position_markers
from runyard_service.adapters.dynamodb.run_index.run_list_plan import (
    FIRST,
    RunFilter,
    append_only_lists,
)
from runyard_service.adapters.dynamodb.run_index.run_lists import RunIdPage
from runyard_service.adapters.stores import Stores
from runyard_service.application.maintenance.sweep_runs import sweep_runs
from runyard_service.application.runs.delete_run import delete_run
from runyard_service.application.runs.journal import Journal
from runyard_service.domain.clock import timestamp, timestamp_in
from runyard_service.domain.errors import AppendConflictError, StoreUnavailableError
from runyard_service.domain.events import NewEvent
from runyard_service.domain.ids import new_id
from runyard_service.domain.runs import Run
from tests.integration.maintenance.test_sweep import ForgetfulMachine
from tests.support.app_server import app_with, make_services
from tests.support.run_factory import create_run
from tests.support.service import Service

CANARY = "a-word-that-is-nowhere-else"
LARGE = f"{CANARY} " * 5_000


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove ended runs immediately: they have no workers."""
    monkeypatch.setattr(run_deletion, "FENCED_SECONDS", 0)


@pytest.fixture
def api(stack: DevStack, at_once: None) -> Iterator[TestClient]:
    """Yield a client of an API that deletes immediately."""
    with TestClient(app_with(make_services(stack))) as client:
        client.headers["Authorization"] = f"Bearer {stack.access_key}"
        yield client


def started_run(
    stores: Stores, project_id: str = PROJECT_ID, said: str = LARGE, **fields: Any
) -> Journal:
    """Create a run that a worker has just started."""
    run = Run(
        id=new_id(),
        project_id=project_id,
        org_id=ORG_ID,
        app_id=new_id(),
        agent="support_triage@1",
        definition_digest="none",
        input={"x": said},
        started_at=timestamp(),
        **fields,
    )
    uses = [stores.files.use_change(project_id, file_id) for file_id in run.file_ids]
    stores.runs.create(run, uses)
    journal = Journal.open(stores, run.id)
    journal.start()
    return journal


def ended_run(
    stores: Stores, project_id: str = PROJECT_ID, said: str = LARGE, **fields: Any
) -> Run:
    """Create an ended run that has the same text in every field, and no worker."""
    journal = started_run(stores, project_id, said, **fields)
    journal.append([NewEvent("agent.response.delta", {"delta": CANARY})])
    journal.append([NewEvent("agent.response.delta", {"delta": said})])
    journal.complete({"content": said})
    found = stores.runs.get(journal.run.id)
    assert found is not None
    return found


def text_of(item: dict[str, Any]) -> str:
    """Return an item as text, with its compressed values decompressed."""
    packed = [value["B"] for name, value in item.items() if name.endswith("_z")]
    return json.dumps(item, default=str) + b"".join(map(zlib.decompress, packed)).decode()


class Remains:
    """Finds the data of a run, or a word, in the tables and the bucket."""

    def __init__(self, stack: DevStack) -> None:
        self.dynamodb, self.s3 = stack.client("dynamodb"), stack.client("s3")
        self.tables = stack.environment["EVENTS_TABLE"], stack.environment["RECORDS_TABLE"]
        self.bucket = stack.environment["BUCKET"]

    def of(self, word: str) -> list[str]:
        """Return the keys of the items and objects that contain the word."""
        found = [
            str([item.get(name) for name in ("pk", "sk", "run_id")])
            for table in self.tables
            for page in self.dynamodb.get_paginator("scan").paginate(TableName=table)
            for item in page["Items"]
            if word in text_of(item)
        ]
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket):
            for each in page.get("Contents", ()):
                body = self.s3.get_object(Bucket=self.bucket, Key=each["Key"])["Body"].read()
                if word in each["Key"] or word.encode() in body:
                    found.append(each["Key"])
        return found

    def kinds_of(self, word: str) -> list[str]:
        """Return the kinds of the records that contain the word; nothing else contains it."""
        return sorted(re.findall(r"^\[\{'S': '(\w+)#", "\n".join(self.of(word)), re.MULTILINE))

    def under_the_names_of(self, run_id: str, file: str) -> int:
        """Return the number of items and objects with keys of the run or its file."""
        found: int = sum(
            self.dynamodb.query(
                TableName=table,
                KeyConditionExpression="#key = :key",
                ExpressionAttributeNames={"#key": name},
                ExpressionAttributeValues={":key": {"S": key}},
            )["Count"]
            for table, name, key in (
                (self.tables[0], "run_id", run_id),
                (self.tables[1], "pk", f"RUN#{run_id}"),
                (self.tables[1], "pk", file.replace("files/", "FILE#").replace("/", "#")),
            )
        )
        objects: int = sum(
            self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix)["KeyCount"]
            for prefix in (f"runs/{run_id}/", f"checkpoints/{run_id}", file)
        )
        return found + objects


@pytest.fixture
def remains(stack: DevStack) -> Remains:
    return Remains(stack)


def test_a_deleted_run_leaves_no_data(
    api: TestClient, service: Service, stores: Stores, remains: Remains
) -> None:
    word = new_id()
    sent = {
        "ticket_subject": "Charged twice for June invoice",
        "ticket_body": f"Hi, my card was charged twice this month. Order #4812. {word}",
    }
    asked: dict[str, Any] = {
        "headers": {"Idempotency-Key": word},
        "data": {"input": json.dumps(sent), "user_id": "user-1"},
        "files": [("files", ("note.txt", f"{word} in a file".encode(), "text/plain"))],
    }
    created = api.post("/v1/runs", **asked)
    run = created.json()["data"]
    run_id = run["id"]
    assert run["status"] == "awaiting_input"
    live = api.delete(f"/v1/runs/{run_id}")
    assert (live.status_code, live.json()["error"]["details"]) == (
        409,
        {"run": "has not ended; cancel it first"},
    )
    assert service.answer(run, is_approved=False, feedback=f"No. {word}").status_code == 200
    service.wait(run_id, "completed")
    record = stores.runs.get(run_id)
    assert record is not None
    assert record.file_ids
    assert remains.of(word)

    assert api.delete(f"/v1/runs/{run_id}").status_code == 204
    assert remains.of(word) == []
    for file_id in record.file_ids:
        assert remains.of(file_id) == []
    # A tombstone; and the record of the create, which prevents a second run for the same create.
    assert remains.kinds_of(run_id) == ["COUNTED", "IDEMPOTENCY", "RUN", "USAGE"]
    again = api.post("/v1/runs", **asked)
    assert again.status_code == 409
    assert again.json()["error"]["details"] == {"Idempotency-Key": "was used for a deleted run"}


@pytest.mark.parametrize(
    "path", ["", "/events", "/stream", "/ticket", "/input", "/cancel"], ids=lambda path: path or "-"
)
def test_a_deleted_run_is_not_found_on_any_path(api: TestClient, stores: Stores, path: str) -> None:
    run = ended_run(stores)
    assert api.delete(f"/v1/runs/{run.id}").status_code == 204
    method = "POST" if path in ("/ticket", "/input", "/cancel") else "GET"
    body = {"type": "human_feedback", "data": {"request_id": "x", "feedback": "y"}}
    response = api.request(method, f"/v1/runs/{run.id}{path}", json=body)
    assert response.status_code == 404
    # The second request finds the requested state: deleted.
    assert api.delete(f"/v1/runs/{run.id}").status_code == 204
    assert find_run_violations(stores, run.id) == []


def test_a_key_that_cannot_read_a_run_cannot_delete_it(
    api: TestClient, stores: Stores, remains: Remains
) -> None:
    run = ended_run(stores)
    stranger, reader = f"ry_{new_id()}", f"ry_{new_id()}"
    stores.access_keys.save(stranger, project_id=f"p-{new_id()}", org_id=ORG_ID)
    reads: frozenset[Scope] = frozenset({"runs:read"})
    stores.access_keys.save(reader, project_id=PROJECT_ID, org_id=ORG_ID, scopes=reads)
    path = f"/v1/runs/{run.id}"
    statuses = [
        api.delete(path, headers={"Authorization": f"Bearer {key}"}).status_code
        for key in (stranger, reader, "unknown")
    ]
    assert statuses == [404, 403, 401]
    assert stores.runs.get(run.id) == run
    assert api.delete(path).status_code == 204
    # Another caller cannot find out that the run existed.
    headers = {"Authorization": f"Bearer {stranger}"}
    assert api.delete(path, headers=headers).status_code == 404
    assert api.delete(f"/v1/runs/{new_id()}").status_code == 404


def test_the_append_of_a_worker_is_rejected_after_the_deletion(
    stores: Stores, remains: Remains, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ended_run(stores)
    delete_run(stores, run.id)
    assert stores.runs.get(run.id) is None
    assert stores.runs.many([run.id]) == []
    new_event = NewEvent("agent.response.delta", {"delta": "late"})
    for seen in range(4):
        with pytest.raises(AppendConflictError):
            stores.log.append(run.id, seen, [new_event])
    delete_run(stores, run.id)
    sweep_runs(stores, ForgetfulMachine(), everything=True)
    assert stores.log.last(run.id) == (4, True)
    monkeypatch.setattr(run_deletion, "FENCED_SECONDS", 0)
    assert sweep_runs(stores, ForgetfulMachine(), everything=True).removed >= 1
    assert stores.log.last(run.id) == (0, False)
    assert remains.kinds_of(run.id) == ["COUNTED", "RUN", "USAGE"]
    assert run.id not in set(stores.runs.due_for_check(None))


def test_the_sweep_removes_a_deleted_run_when_its_time_has_passed(stores: Stores) -> None:
    run = ended_run(stores)
    delete_run(stores, run.id)
    due = {
        seconds: run.id in set(stores.runs.due_for_check(timestamp_in(seconds)))
        for seconds in (900, 970)
    }
    assert due == {900: False, 970: True}


def test_files_are_deleted_with_the_last_run_that_used_them(
    api: TestClient, stores: Stores, remains: Remains
) -> None:
    saved = [
        stores.files.save(PROJECT_ID, NewFile(f"{n}.txt", None, BytesIO(b"hello"))).id
        for n in range(3)
    ]
    shared, first_only, never_used = saved
    first = ended_run(stores, file_ids=(shared, first_only))
    second = ended_run(stores, file_ids=(shared,))
    assert api.delete(f"/v1/runs/{first.id}").status_code == 204
    assert remains.of(first_only) == []
    assert stores.files.ready(PROJECT_ID, shared).id == shared
    delete_run(stores, first.id)  # The second deletion does not count it again.
    assert stores.files.ready(PROJECT_ID, shared).id == shared
    assert api.delete(f"/v1/runs/{second.id}").status_code == 204
    assert remains.of(shared) == []
    assert stores.files.ready(PROJECT_ID, never_used).id == never_used
    rejected = api.post("/v1/runs", json={"input": {"x": 1}, "file_ids": [shared]})
    assert rejected.status_code == 400


def test_a_create_with_a_file_that_is_being_deleted_is_rejected(
    stack: DevStack, stores: Stores, at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = stores.files.save(PROJECT_ID, NewFile("a.txt", None, BytesIO(b"hello")))
    services = make_services(stack)
    save = services.stores.definitions.save

    def meanwhile(snapshot: Any) -> str:
        stores.files.delete_unused(PROJECT_ID, file.id)
        return save(snapshot)

    monkeypatch.setattr(services.stores.definitions, "save", meanwhile)
    with TestClient(app_with(services)) as api:
        api.headers["Authorization"] = f"Bearer {stack.access_key}"
        sent = {"ticket_subject": "Help!", "ticket_body": "?"}
        rejected = api.post("/v1/runs", json={"input": sent, "file_ids": [file.id]})
    assert rejected.status_code == 400
    assert "file_ids" in rejected.json()["error"]["details"]


def test_messages_of_a_thread_remain_and_its_list_omits_the_deleted_run(
    api: TestClient, service: Service, stores: Stores
) -> None:
    base = "/threads/v1"
    thread_id = api.post(f"{base}/threads").json()["id"]
    api.post(f"{base}/threads/{thread_id}/messages", json={"content": "Hello"})
    started = api.post(f"{base}/threads/{thread_id}/runs", json={"persona_id": "talker"})
    run_id = started.json()["run_id"]
    service.wait(run_id, "completed")
    assert api.delete(f"/v1/runs/{run_id}").status_code == 204
    assert api.get(f"{base}/threads/{thread_id}/runs").json() == []
    messages = api.get(f"{base}/threads/{thread_id}/messages").json()
    assert [message["role"] for message in messages] == ["user", "assistant"]
    assert api.get(f"{base}/runs/{run_id}").status_code == 404
    again = api.post(f"{base}/threads/{thread_id}/runs", json={"persona_id": "talker"})
    service.wait(again.json()["run_id"], "completed")
    assert find_run_violations(stores, again.json()["run_id"]) == []


@pytest.mark.parametrize("path", ["/threads/{thread_id}/runs", "/runs"])
def test_paging_continues_after_a_run_that_was_deleted(
    api: TestClient, service: Service, path: str
) -> None:
    base = "/threads/v1"
    thread_id = api.post(f"{base}/threads").json()["id"]
    run_ids = []
    for _ in range(2):
        api.post(f"{base}/threads/{thread_id}/messages", json={"content": "Hello"})
        started = api.post(f"{base}/threads/{thread_id}/runs", json={"persona_id": "talker"})
        run_ids.append(started.json()["run_id"])
        service.wait(run_ids[-1], "completed")
    older, newer = run_ids
    first = api.get(base + path.format(thread_id=thread_id), params={"limit": 1})
    assert [row["run_id"] for row in first.json()] == [newer]
    assert api.delete(f"/v1/runs/{newer}").status_code == 204
    second = api.get(first.links["next"]["url"])
    assert [row["run_id"] for row in second.json()] == [older]


# --- interruptions -------------------------------------------------------------------------------


class InterruptedAtCallError(StoreUnavailableError):
    """The process crashes at this call."""


@dataclass
class Line:
    """Connection of some stores: it fails from a given call on."""

    stores: Stores
    left: int = 0

    def __post_init__(self) -> None:
        for client in (self.stores.deleted_runs.records.client, self.stores.files._bucket.client):
            client.meta.events.register_first("before-call", self._pass)

    def _pass(self, **_: Any) -> None:
        self.left -= 1
        if self.left < 0:
            raise InterruptedAtCallError("lost")


@pytest.mark.usefixtures("at_once")
def test_the_sweep_finishes_a_deletion_that_crashed_at_any_call(
    stack: DevStack, stores: Stores, remains: Remains
) -> None:
    line = Line(make_services(stack).stores)
    for calls in range(60):
        project = f"p-{new_id()}"
        file = stores.files.save(project, NewFile("a.txt", None, BytesIO(b"hello")))
        run = ended_run(stores, project, "little", user_id="ada", file_ids=(file.id,))
        stores.log._payloads.save(run.id, "what no event refers to")
        line.left, is_lost = calls, True
        with suppress(InterruptedAtCallError):
            delete_run(line.stores, run.id)
            is_lost = False
        if (found := stores.runs.get(run.id)) is not None:
            assert found == run, f"untouched, after {calls} calls"
            assert find_run_violations(stores, run.id) == []
            delete_run(stores, run.id)
        assert find_run_violations(stores, run.id) == []
        left = stores.deleted_runs.find(run.id)
        assert left is not None
        if not left.is_gone:
            # The sweep finds the run, and calls the same function.
            assert "sweep_shard" in (stores.deleted_runs.records.get(keys.run(run.id)) or {})
            delete_run(stores, run.id)
        assert remains.under_the_names_of(run.id, f"files/{project}/{file.id}") == 1, calls
        assert stores.run_lists.page(RunFilter(project), ("started_at",), 1, 5) == RunIdPage([], 0)
        if not is_lost:
            break
    assert calls >= 19


def test_the_store_check_counts_deleted_runs(
    stores: Stores, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ended_run(stores)
    delete_run(stores, run.id)
    monkeypatch.setattr(stores.runs, "ids", lambda: {run.id})
    monkeypatch.setattr(stores.log, "run_ids", set)
    capsys.readouterr()  # Log lines of the run's metrics.
    assert verify_stores(stores) == 0
    assert capsys.readouterr().out == "1 runs (1 deleted), 4 events, 0 with violations\n"


# --- position markers ----------------------------------------------------------------------------


@pytest.mark.parametrize("condition", ["none", "agent", "started_after", "ended_after"])
def test_long_lists_stay_correct_after_deletions(
    stores: Stores, at_once: None, condition: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(position_markers, "MARKER_INTERVAL", 5)
    monkeypatch.setattr(position_markers, "STABLE_AFTER_SECONDS", -5)  # All these lists are stable.
    project = f"p-{new_id()}"
    runs = [record(stores, project) for _ in range(40)]
    values: dict[str, Any] = {"none": {}, "agent": {"agent": "none"}}
    limit = runs[7].started_at
    run_filter = RunFilter(project, **values.get(condition, {condition: limit}))
    sort = "ended_at" if condition == "ended_after" else "started_at"
    ids = [run.id for run in runs if condition in values or run.started_at >= limit]

    def pages() -> tuple[list[str], int]:
        found = [stores.run_lists.page(run_filter, (sort,), n, 7) for n in range(1, 50, 7)]
        return [run_id for page in found for run_id in page.ids], found[0].total

    lists = append_only_lists(replace(run_filter, started_after=FIRST), "completed")
    one = lists[{"agent": -1, "ended_after": 1}.get(condition, 0)]
    assert pages() == (ids, len(ids))
    assert stores.deleted_runs.markers.last(one).position == 40
    monkeypatch.setattr(position_markers, "STABLE_AFTER_SECONDS", 900)
    before = stores.deleted_runs.markers.last(one)
    for run in (runs[3], runs[20]):
        delete_run(stores, run.id)
    left = [run_id for run_id in ids if run_id not in (runs[3].id, runs[20].id)]
    assert pages() == (left, len(left))
    assert stores.deleted_runs.markers.last(one).position == 0
    # A reader that started before must set no marker now, and none is set for some time.
    assert not stores.deleted_runs.markers.follow(one, before, {45: "whatever"})
    monkeypatch.setattr(position_markers, "STABLE_AFTER_SECONDS", -5)
    assert pages() == (left, len(left))
    assert stores.deleted_runs.markers.last(one).position == 35


def record(stores: Stores, project: str, **fields: Any) -> Run:
    """Write the record of an ended run, without a log."""
    at = timestamp()
    ended: dict[str, Any] = {"status": "completed", "started_at": at, "ended_at": at}
    return create_run(stores, project_id=project, org_id=ORG_ID, **ended, **fields)
