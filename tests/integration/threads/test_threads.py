"""Test threads under load and after failures: order, one active run, concurrent messages."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest
from starlette.testclient import TestClient

from runyard.cli.verify_stores import find_run_violations
from runyard_dev.access_key import ORG_ID, PROJECT_ID
from runyard_dev.dev_stack import DevStack
from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.stores import Stores
from runyard_service.application.runs.journal import Journal
from runyard_service.domain.clock import timestamp
from runyard_service.domain.ids import new_id
from runyard_service.domain.request_errors import ThreadBusyError
from runyard_service.domain.runs import Run
from runyard_service.domain.threads import Thread
from runyard_service.settings import Settings
from tests.support.app_server import app_with, make_services
from tests.support.threads_service import BASE_PATH, ThreadsService, assert_rejected

POSTERS, TURNS = 10, 50


@pytest.fixture
def threads(stack: DevStack) -> Iterator[ThreadsService]:
    """Yield the Threads API of the local stack."""
    with ThreadsService(stack.base_url, stack.access_key) as running:
        yield running


def new_thread(stores: Stores) -> Thread:
    at = timestamp()
    thread = Thread(id=new_id(), project_id=PROJECT_ID, org_id=ORG_ID, created_at=at, updated_at=at)
    stores.threads.create(thread)
    return thread


def run_in(stores: Stores, thread: Thread) -> Run:
    """Record a run in the thread, without a worker."""
    found = stores.threads.get(thread.id)
    assert found is not None
    run = Run(
        id=new_id(),
        project_id=thread.project_id,
        org_id=thread.org_id,
        app_id=new_id(),
        agent="talker@1",
        definition_digest="none",
        input={},
        thread_id=thread.id,
        thread_messages=found.messages,
        started_at=timestamp(),
    )
    stores.runs.create(run, stores.threads.start_run_changes(found, run))
    return run


@pytest.mark.timeout(300)
def test_fifty_messages_of_ten_concurrent_senders_remain_in_order(
    threads: ThreadsService, stores: Stores
) -> None:
    thread_id = threads.thread()

    def post(poster: int) -> list[str]:
        run_ids = []
        for turn in range(TURNS // POSTERS):
            threads.say(thread_id, f"poster {poster} turn {turn}")
            while True:
                response = threads.http.post(
                    f"/threads/{thread_id}/runs", json={"persona_id": "talker"}
                )
                if response.status_code == 201:
                    break
                assert_rejected(response, 409, "runs.thread_busy")
            run_ids.append(response.json()["run_id"])
            threads.wait(run_ids[-1], "completed")
        return run_ids

    with ThreadPoolExecutor(POSTERS) as pool:
        run_ids = [run_id for done in pool.map(post, range(POSTERS)) for run_id in done]
    assert len(set(run_ids)) == TURNS

    messages = threads.get(f"/threads/{thread_id}/messages")
    assert len(messages) == 2 * TURNS
    assert [one["created_at"] for one in messages] == sorted(one["created_at"] for one in messages)
    for poster in range(POSTERS):
        mine = [one["content"] for one in messages if f"poster {poster} " in one["content"]]
        mine = [content for content in mine if content.startswith("poster")]
        assert mine == [f"poster {poster} turn {turn}" for turn in range(TURNS // POSTERS)]
    assert_each_answer_fits(messages)

    # Newest first; each started after the end of the previous run.
    listed = [row["run_id"] for row in threads.get(f"/threads/{thread_id}/runs", limit=200)]
    assert sorted(listed) == sorted(run_ids)
    runs = [stores.runs.get(run_id) for run_id in listed[::-1]]
    for earlier, later in pairwise(runs):
        assert earlier is not None
        assert later is not None
        assert earlier.ended_at is not None
        assert earlier.ended_at <= later.started_at
        assert earlier.thread_messages < later.thread_messages
    assert [find_run_violations(stores, run_id) for run_id in run_ids] == [[]] * TURNS


def assert_each_answer_fits(messages: list[dict[str, Any]]) -> None:
    """The agent returns the number of messages that it saw, and the newest of them."""
    for answer in messages:
        if answer["role"] == "assistant":
            count, _, heard = answer["content"].partition(": ")
            users = [one for one in messages[: int(count)] if one["role"] == "user"]
            assert heard == users[-1]["content"]


def test_messages_do_not_prevent_the_end_of_a_run(threads: ThreadsService, stores: Stores) -> None:
    thread_id = threads.thread("Hello")
    run_ids = []

    def flood(number: int) -> None:
        threads.say(thread_id, f"flood {number}")

    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            run_ids.append(threads.start(thread_id))
            list(pool.map(flood, range(20)))
            threads.wait(run_ids[-1], "completed")
    thread = stores.threads.get(thread_id)
    assert thread is not None
    stored = list(stores.messages.read(thread_id, 0, thread.messages))
    assert [message.sequence for message in stored] == list(range(1, len(stored) + 1))
    assert len(stored) == 1 + 5 * 20 + 5
    assert [one.run_id for one in stored if one.role == "assistant"] == run_ids
    recovered = [
        event
        for run_id in run_ids
        for event in threads.events(run_id)
        if "recovered" in event["type"]
    ]
    assert recovered == []


def test_concurrent_creates_start_one_run(threads: ThreadsService) -> None:
    thread_id = threads.thread("slowly")

    def start(_: int) -> int:
        path = f"/threads/{thread_id}/runs"
        return threads.http.post(path, json={"persona_id": "talker"}).status_code

    with ThreadPoolExecutor(10) as pool:
        statuses = list(pool.map(start, range(10)))
    assert sorted(statuses) == [201] + [409] * 9
    (row,) = threads.get(f"/threads/{thread_id}/runs")
    threads.http.post(f"/runs/{row['run_id']}:cancel")


def test_an_interrupted_deletion_is_resumed(stack: DevStack, stores: Stores) -> None:
    thread = new_thread(stores)
    for content in ("a", "b", large := "x" * 150_000):
        stores.messages.add(thread.id, "user", content)
    assert next(stores.messages.read(thread.id, 2, 3)).content == large
    prefix = f"threads/{thread.id}/"
    bucket = {"Bucket": Settings.from_environment(stack.environment).bucket, "Prefix": prefix}
    assert stack.client("s3").list_objects_v2(**bucket)["KeyCount"] == 1
    stores.threads._mark_deleted(thread.id)  # ... and no more: the process crashed.
    assert stores.threads.get(thread.id) is None
    assert thread.id not in [one.id for one in stores.threads.newest([PROJECT_ID], None, 50)]
    assert stores.threads.delete(thread.id) is not None
    assert stores.threads.delete(thread.id) is None
    assert list(stores.messages.read(thread.id, 0, 3)) == []
    assert stack.client("s3").list_objects_v2(**bucket)["KeyCount"] == 0


def test_an_interrupted_deletion_is_resumed_over_http(
    threads: ThreadsService, stores: Stores, key_of: Callable[..., str]
) -> None:
    thread_id = threads.thread("Hello")
    stores.threads._mark_deleted(thread_id)
    path = f"/threads/{thread_id}"
    assert_rejected(threads.http.get(path), 404, "threads.not_found")
    assert_rejected(threads.http.post(f"{path}/runs", json={}), 404, "threads.not_found")
    with ThreadsService(threads.base_url, key_of("elsewhere")) as stranger:
        assert_rejected(stranger.http.delete(path), 404, "threads.not_found")
    assert list(stores.messages.read(thread_id, 0, 1))
    assert threads.http.delete(path).status_code == 204
    assert list(stores.messages.read(thread_id, 0, 1)) == []
    assert threads.http.delete(path).status_code == 204


def test_a_large_output_is_stored_in_s3_once_despite_retries(
    stack: DevStack, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = new_thread(stores)
    stores.messages.add(thread.id, "user", "Hello")
    run = run_in(stores, thread)
    journal = Journal.open(stores, run.id)
    journal.start()
    comes = iter(("as you", "end", "it"))
    read = stores.threads.get

    def get_then_add_message(thread_id: str) -> Thread | None:
        """Change the thread while the end is written."""
        found = read(thread_id)
        if (content := next(comes, None)) is not None:
            monkeypatch.setattr(stores.threads, "get", read)
            stores.messages.add(thread_id, "user", content)
            monkeypatch.setattr(stores.threads, "get", get_then_add_message)
        return found

    monkeypatch.setattr(stores.threads, "get", get_then_add_message)
    large = "x" * 150_000
    journal.complete({"content": large})
    monkeypatch.undo()
    *_, answer = stores.messages.read(thread.id, 0, 5)
    assert (answer.sequence, answer.content) == (5, large)
    stored = stack.client("s3").list_objects_v2(
        Bucket=stack.environment["BUCKET"], Prefix=f"threads/{thread.id}/"
    )
    assert stored["KeyCount"] == 1
    assert find_run_violations(stores, run.id) == []


def test_a_concurrent_deletion_and_create_leave_no_run_without_its_thread(
    stores: Stores, threads: ThreadsService
) -> None:
    def delete(thread_id: str) -> bool:
        try:
            return stores.threads.delete(thread_id) is not None
        except ThreadBusyError:
            return False

    for _ in range(10):
        thread_id = threads.thread("Hello")
        with ThreadPoolExecutor(2) as pool:
            deleted = pool.submit(delete, thread_id)
            created = pool.submit(threads.http.post, f"/threads/{thread_id}/runs", json={})
        if created.result().status_code == 201:
            run_id = created.result().json()["run_id"]
            threads.wait(run_id, "completed")
            assert not deleted.result()
            assert find_run_violations(stores, run_id) == []
        else:
            assert_rejected(created.result(), 404, "threads.not_found")


def test_a_thread_that_contradicts_its_run_is_detected(
    threads: ThreadsService, stores: Stores
) -> None:
    thread_id = threads.thread("Hello")
    run_id = threads.start(thread_id)
    threads.wait(run_id, "completed")
    table = stores.threads._table
    table.update(keys.thread(thread_id), {"active_run_id": run_id})
    table.delete_many([keys.message(thread_id, 2)])
    assert find_run_violations(stores, run_id) == [
        f"the run is completed, its thread names {run_id}",
        "the run is completed, its thread has 0 answers of it",
    ]
    table.update(keys.thread(thread_id), {"active_run_id": None, "messages": 1})


# --- organizations -------------------------------------------------------------------------------


@pytest.fixture
def key_of(stores: Stores) -> Callable[..., str]:
    """Return a function that creates access keys of a new organization, for a project or all."""
    org_id = f"org-{new_id()}"

    def make(project: str, **options: Any) -> str:
        secret = f"ry_{new_id()}"
        project_id = f"{project}-{org_id}" if project else ""
        stores.access_keys.save(secret, project_id=project_id, org_id=org_id, **options)
        return secret

    return make


def test_an_organizations_key_sees_all_of_its_projects(
    stack: DevStack, key_of: Callable[..., str]
) -> None:
    made: list[str] = []
    for project in ("east", "west", "east"):
        key = key_of(project, user_id="u-1", user_name="alice", user_email="alice@example.com")
        with ThreadsService(stack.base_url, key) as threads:
            made.append(threads.start(threads.thread("Hello")))
            threads.wait(made[-1], "completed")
    with ThreadsService(stack.base_url, key_of("")) as everything:
        rows = everything.get("/runs")
        assert [row["run_id"] for row in rows] == made[::-1]
        assert {row["created_by_user_name"] for row in rows} == {"alice"}
        assert {row["created_by_user_id"] for row in rows} == {"u-1"}
        assert {row["created_by_email"] for row in rows} == {"alice@example.com"}
        assert [row["run_id"] for row in everything.get("/runs", before=made[1])] == made[:1]
        assert len(everything.get("/threads")) == 3
        assert everything.run(made[0])["status"] == "completed"
        assert everything.events(made[0])[-1]["type"] == "run.completed"
        # A new thread needs a project.
        details = assert_rejected(everything.http.post("/threads"), 422, "validation.error")
        assert "X-Project-Id" in details
    with ThreadsService(stack.base_url, key_of("west")) as west:
        assert [row["run_id"] for row in west.get("/runs")] == [made[1]]
        assert_rejected(west.http.get(f"/runs/{made[0]}"), 404, "runs.not_found")
        rejected = west.http.get("/runs", params={"before": made[0]})
        assert_rejected(rejected, 422, "validation.error")
    with ThreadsService(stack.base_url, stack.access_key) as stranger:
        assert_rejected(stranger.http.get(f"/runs/{made[0]}"), 404, "runs.not_found")


def test_an_organization_has_a_limit_of_active_runs(
    stack: DevStack, key_of: Callable[..., str]
) -> None:
    app = app_with(make_services(stack, org_max_active_runs=2))
    clients = []
    with TestClient(app) as client:
        for project in ("east", "west", "south"):
            headers = {"Authorization": f"Bearer {key_of(project)}"}
            thread = client.post(f"{BASE_PATH}/threads", headers=headers).json()
            path = f"{BASE_PATH}/threads/{thread['id']}"
            client.post(f"{path}/messages", headers=headers, json={"content": "slowly"})
            body = {"persona_id": "talker"}
            clients.append(client.post(f"{path}/runs", headers=headers, json=body))
    assert [response.status_code for response in clients] == [201, 201, 429]
    assert clients[2].json()["code"] == "runs.limit_exceeded"
    assert clients[2].headers["retry-after"] == "1"


# --- the global list -----------------------------------------------------------------------------


@pytest.mark.timeout(300)
def test_the_list_is_read_without_gaps_while_new_runs_arrive(
    stack: DevStack, stores: Stores, key_of: Callable[..., str]
) -> None:
    with ThreadsService(stack.base_url, key_of("walked")) as threads:

        def start(_: int) -> str:
            return threads.start(threads.thread("Hello"))

        with ThreadPoolExecutor(8) as pool:
            before = list(pool.map(start, range(60)))
            newer = [pool.submit(start, number) for number in range(40)]
            seen: list[str] = []
            response = threads.http.get("/runs", params={"limit": 7})
            while True:
                seen += [row["run_id"] for row in response.json()]
                if "next" not in response.links:
                    break
                response = threads.http.get(response.links["next"]["url"])
            after = [one.result() for one in newer]
        assert len(seen) == len(set(seen))
        assert set(before) <= set(seen) <= {*before, *after}
        starts = [run.started_at for run in stores.runs.many(seen)]
        assert starts == sorted(starts, reverse=True)
        for run_id in (*before, *after):
            threads.wait(run_id, "completed")
