"""Test that a request with an `Idempotency-Key` creates once, and that no record has a secret."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from runyard_dev.dev_stack import DevStack
from runyard_service.adapters.dynamodb.table import Table
from runyard_service.adapters.stores import Stores
from runyard_service.domain.ids import new_id
from tests.support.app_server import app_with, make_services

URL = "https://hooks.example.com/runyard"
FILE = {"name": "a.txt", "size": 5, "mime_type": "text/plain"}


@pytest.fixture(scope="module")
def api(stack: DevStack, stores: Stores) -> Iterator[TestClient]:
    """Yield the API with a key of a new organization, which names its project."""
    secret, org_id = f"ry_{new_id()}", f"o-{new_id()}"
    stores.access_keys.claim_project(org_id, org_id)
    stores.access_keys.save(secret, project_id="", org_id=org_id)
    with TestClient(app_with(make_services(stack))) as client:
        client.headers |= {"Authorization": f"Bearer {secret}", "X-Project-Id": org_id}
        yield client


def twice(api: TestClient, path: str, **body: Any) -> tuple[Any, Any]:
    """Send the same POST twice. Check that the second is marked as a retry."""
    headers = {"Idempotency-Key": new_id()}
    first, again = (api.post(path, headers=headers, **body) for _ in range(2))
    assert first.is_success, first.text
    assert "idempotency-replayed" not in first.headers
    assert (again.status_code, again.headers.get("idempotency-replayed")) == (
        first.status_code,
        "true",
    )
    return first, again


def new_thread(api: TestClient) -> str:
    return str(api.post("/threads/v1/threads").json()["id"])


@pytest.mark.parametrize("base", ["/threads", ""])
def test_a_thread_is_created_once(api: TestClient, base: str) -> None:
    title = new_id()
    first, again = twice(api, f"{base}/v1/threads", json={"title": title})
    assert again.json() == first.json()
    titles = [thread["title"] for thread in api.get("/threads/v1/threads?limit=200").json()]
    assert titles.count(title) == 1


def test_a_message_is_added_once(api: TestClient) -> None:
    path = f"/threads/v1/threads/{new_thread(api)}/messages"
    first, again = twice(api, path, json={"content": "Hello"})
    large = twice(api, path, json={"content": "ä" * 100_000})
    assert again.json() == first.json()
    assert large[0].json() == large[1].json()
    assert api.get(path).json() == [first.json(), large[0].json()]


def test_only_a_retry_reads_whether_the_resource_was_created(
    stack: DevStack, api: TestClient
) -> None:
    services = make_services(stack)
    reads: list[str] = []

    def count(params: Any, **_: Any) -> None:
        reads.extend(["read"] if b"IDEMPOTENCY#" in params["body"] else [])

    client = services.stores.deleted_runs.records.client
    client.meta.events.register("before-call.dynamodb.GetItem", count)
    requests: list[tuple[str, dict[str, Any]]] = [
        (f"/threads/v1/threads/{new_thread(api)}/messages", {"json": {"content": "Hello"}}),
        ("/v1/webhooks", {"json": {"url": URL}}),
        ("/v1/files", {"files": {"file": ("a.txt", b"words", "text/plain")}}),
    ]
    with TestClient(app_with(services), headers=dict(api.headers)) as counted:
        for path, body in requests:
            headers = {"Idempotency-Key": new_id()}
            for expected in ([], ["read"]):
                assert counted.post(path, headers=headers, **body).is_success
                assert reads == expected, path
                reads.clear()


def test_concurrent_retries_add_one_message(api: TestClient) -> None:
    path = f"/threads/v1/threads/{new_thread(api)}/messages"
    headers = {"Idempotency-Key": new_id()}
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: api.post(path, json={"content": "Hi"}, headers=headers), range(8))
        )
    assert [answer.status_code for answer in answers] == [201] * 8
    [message] = api.get(path).json()
    assert all(answer.json() == message for answer in answers)


def test_other_content_with_the_same_key_is_rejected(api: TestClient) -> None:
    path = f"/threads/v1/threads/{new_thread(api)}/messages"
    headers = {"Idempotency-Key": new_id()}
    assert api.post(path, json={"content": "a"}, headers=headers).status_code == 201
    rejected = api.post(path, json={"content": "b"}, headers=headers)
    assert (rejected.status_code, rejected.json()["code"]) == (409, "requests.conflict")
    assert len(api.get(path).json()) == 1


def test_a_retry_gets_the_first_state_of_a_thread(api: TestClient) -> None:
    headers = {"Idempotency-Key": new_id()}
    first = api.post("/threads/v1/threads", json={"title": "First"}, headers=headers).json()
    path = f"/threads/v1/threads/{first['id']}"
    api.patch(path, json={"title": "Second"})
    retry = api.post("/threads/v1/threads", json={"title": "First"}, headers=headers)
    assert retry.json() == first


def test_a_key_of_something_deleted_is_rejected(api: TestClient) -> None:
    for path, body, kind in (
        ("/threads/v1/threads", {"title": "First"}, "thread"),
        ("/v1/webhooks", {"url": URL}, "webhook"),
    ):
        headers = {"Idempotency-Key": new_id()}
        created = api.post(path, json=body, headers=headers).json()
        assert api.delete(f"{path}/{created.get('data', created)['id']}").status_code == 204
        retry = api.post(path, json=body, headers=headers)
        assert retry.status_code == 409
        assert f"was used for a deleted {kind}" in retry.text


def test_a_file_is_stored_once(api: TestClient) -> None:
    part = {"file": ("a.txt", b"hello", "text/plain")}
    first, again = twice(api, "/v1/files", files=part)
    assert again.json() == first.json()
    headers = {"Idempotency-Key": new_id()}
    other = {"file": ("a.txt", b"world", "text/plain")}
    api.post("/v1/files", files=part, headers=headers)
    assert api.post("/v1/files", files=other, headers=headers).status_code == 409


def test_an_announced_file_is_announced_once(api: TestClient) -> None:
    first, again = (answer.json()["data"] for answer in twice(api, "/v1/files", json=FILE))
    assert again["id"] == first["id"]
    assert again["upload"]["url"] == first["upload"]["url"]
    uploaded = httpx.post(
        again["upload"]["url"], data=again["upload"]["fields"], files={"file": b"hello"}
    )
    assert uploaded.is_success


def test_an_answer_and_a_cancel_of_the_threads_api_count_once(api: TestClient) -> None:
    run = api.post("/v1/runs", json={"input": {"ticket_subject": "Help!"}}).json()["data"]
    path = f"/threads/v1/runs/{run['id']}"
    assert run["status"] == "awaiting_input"
    first, again = twice(api, f"{path}/input", json={"content": "account"})
    assert first.json() == again.json() == {"ok": True}
    first, again = twice(api, f"{path}:cancel")
    assert first.json() == again.json() == {"ok": True}


def test_no_record_contains_a_returned_secret(api: TestClient, stack: DevStack) -> None:
    created, again = twice(api, "/v1/webhooks", json={"url": URL})
    webhook = created.json()["data"]
    secrets = [webhook.pop("secret")]
    assert again.json()["data"] == webhook
    path = f"/v1/webhooks/{webhook['id']}"
    rotated, again = twice(api, f"{path}/rotate-secret")
    assert again.json()["data"] == webhook
    upload = twice(api, "/v1/files", json=FILE)[0].json()["data"]["upload"]
    secrets += [
        rotated.json()["data"]["secret"],
        api.headers["authorization"].partition(" ")[2],
        *(text for name, text in upload["fields"].items() if "signature" in name.lower()),
    ]
    assert len(secrets) == 4
    found = secrets_in_records(stack, secrets)
    assert found == {"WEBHOOK"}, "only the record that signs deliveries may have a secret"
    assert api.delete(path).status_code == 204
    assert secrets_in_records(stack, secrets) == set()


def secrets_in_records(stack: DevStack, secrets: list[str]) -> set[str]:
    """Return the kinds of the records that contain any of the secrets."""
    table = Table(stack.client("dynamodb"), stack.environment["RECORDS_TABLE"])
    pages = table.client.get_paginator("scan").paginate(TableName=table.name)
    return {
        item["pk"]["S"].partition("#")[0]
        for page in pages
        for item in page["Items"]
        if any(secret in repr(item) for secret in secrets)
    }


def test_a_retry_after_a_crash_answers_the_same_request(
    api: TestClient, stack: DevStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The retry names no request, and the answered request is not open any more."""
    run = api.post("/v1/runs", json={"input": {"ticket_subject": "Help!"}}).json()["data"]
    path, headers = f"/threads/v1/runs/{run['id']}/input", {"Idempotency-Key": new_id()}
    services = make_services(stack)
    monkeypatch.delattr(type(services.stores.idempotency), "store_response")
    with TestClient(app_with(services), headers=dict(api.headers)) as crashing:
        assert crashing.post(path, json={"content": "account"}, headers=headers).status_code == 500
    monkeypatch.undo()
    retry = api.post(path, json={"content": "account"}, headers=headers)
    assert (retry.status_code, retry.json()) == (200, {"ok": True})
