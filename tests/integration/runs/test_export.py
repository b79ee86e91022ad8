"""Test the export of a run: complete, in lines, at both endpoints."""

import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from starlette.testclient import TestClient

from runyard_dev.dev_stack import DevStack
from runyard_service.adapters.stores import Stores
from runyard_service.domain.ids import new_id
from tests.integration.runs.test_delete_run import LARGE, ended_run, started_run
from tests.support.app_server import app_with, make_services
from tests.support.service import Service
from tests.support.threads_service import ThreadsService

STREAM_URL = "http://stream.example"


def lines_of(text: str) -> list[dict[str, Any]]:
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def of_kind(lines: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [line["data"] for line in lines if line["kind"] == kind]


def test_an_export_contains_all_stored_data_of_a_run(service: Service) -> None:
    response = service.http.post(
        "/v1/runs",
        data={
            "input": json.dumps(
                {
                    "ticket_subject": "Charged twice for June invoice",
                    "ticket_body": "Hi, my card was charged twice this month. Order #4812.",
                }
            )
        },
        files=[("files", ("note.txt", b"a note", "text/plain"))],
    )
    run = response.json()["data"]
    assert service.answer(run, is_approved=True, params={"amount": 45}).status_code == 200
    run = service.wait(run["id"], "completed")

    exported = service.http.get(f"/v1/runs/{run['id']}/export")
    assert exported.headers["content-type"].startswith("application/x-ndjson")
    assert run["id"] in exported.headers["content-disposition"]
    lines = lines_of(exported.text)
    assert lines[0]["kind"] == "run"
    assert run.items() <= lines[0]["data"].items()
    assert of_kind(lines, "event") == service.events(run["id"])
    (request,) = of_kind(lines, "input_request")
    assert (request["type"], request["state"]) == ("approval_request", "answered")
    assert request["answer"]["params"] == {"amount": 45}
    (file,) = of_kind(lines, "file")
    assert (file["name"], file["size"]) == ("note.txt", 6)
    assert lines[-1] == {"kind": "end", "data": {"events": len(of_kind(lines, "event"))}}


def test_large_payloads_are_restored(service: Service, stores: Stores) -> None:
    run = ended_run(stores)
    lines = lines_of(service.http.get(f"/v1/runs/{run.id}/export").text)
    assert of_kind(lines, "run")[0]["input"] == {"x": LARGE}
    assert of_kind(lines, "event")[-1]["data"]["output"] == {"content": LARGE}


def test_an_active_run_is_active_in_every_response(service: Service, stores: Stores) -> None:
    """The stored record has another status: it was not written since the create."""
    session_id = new_id()
    journal = started_run(stores, session_id=session_id)
    address = f"/v1/runs/{journal.run.id}"
    assert service.http.get(address).json()["data"]["status"] == "started"
    lines = lines_of(service.http.get(f"{address}/export").text)
    assert of_kind(lines, "run")[0]["status"] == "started"
    listed = {
        status: service.http.get(
            "/v1/runs", params={"status": status, "session_id": session_id}
        ).json()["data"]
        for status in ("created", "started")
    }
    assert listed["created"] == []
    assert [run["status"] for run in listed["started"]] == ["started"]
    journal.cancel("user-1", {})


def test_the_export_of_a_threads_run_has_its_input_messages(
    stack: DevStack, service: Service
) -> None:
    with ThreadsService(stack.base_url, stack.access_key) as threads:
        thread_id = threads.thread("one", "two")
        run_id = threads.start(thread_id)
        threads.wait(run_id, "completed")
        threads.say(thread_id, "three")
    lines = lines_of(service.http.get(f"/v1/runs/{run_id}/export").text)
    assert [message["content"] for message in of_kind(lines, "message")] == ["one", "two"]


def test_the_api_redirects_an_export_with_a_ticket_for_this_export_only(
    stack: DevStack, service: Service, stores: Stores
) -> None:
    run, other = ended_run(stores), ended_run(stores)
    with TestClient(
        app_with(make_services(stack, stream_url=STREAM_URL)), follow_redirects=False
    ) as buffered:
        headers = {"Authorization": f"Bearer {stack.access_key}"}
        sent_on = buffered.get(f"/v1/runs/{run.id}/export", headers=headers)
        stream_on = buffered.get(f"/v1/runs/{run.id}/stream", headers=headers)
        assert buffered.get(f"/v1/runs/{new_id()}/export", headers=headers).status_code == 404
        assert buffered.get(f"/v1/runs/{run.id}/export").status_code == 401
    assert sent_on.status_code == 303
    address = urlsplit(sent_on.headers["location"])
    assert f"{address.scheme}://{address.netloc}" == STREAM_URL
    with TestClient(app_with(make_services(stack))) as streaming:
        assert address.path == f"/v1/runs/{run.id}/export"
        exported = streaming.get(address.path, params=address.query)
        assert lines_of(exported.text)[-1] == {"kind": "end", "data": {"events": 4}}
        for path in (f"/v1/runs/{run.id}/stream", f"/v1/runs/{other.id}/export"):
            assert streaming.get(path, params=address.query).status_code == 401
        to_stream = urlsplit(stream_on.headers["location"]).query
        assert streaming.get(address.path, params=to_stream).status_code == 401


@pytest.mark.parametrize("key", ["stranger", "unknown"])
def test_other_callers_cannot_export_a_run(service: Service, stores: Stores, key: str) -> None:
    run = ended_run(stores)
    secret = f"ry_{new_id()}"
    if key == "stranger":
        stores.access_keys.save(secret, project_id=f"p-{secret}", org_id="elsewhere")
    rejected = service.http.get(
        f"/v1/runs/{run.id}/export", headers={"Authorization": f"Bearer {secret}"}
    )
    assert rejected.status_code == {"stranger": 404, "unknown": 401}[key]
