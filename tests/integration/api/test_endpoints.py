"""Test the API endpoint and the streaming endpoint: each refers callers to the other."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from starlette.testclient import TestClient

from runyard_dev.dev_stack import DevStack
from runyard_service.adapters.s3.payloads import Payloads
from runyard_service.adapters.stores import Stores
from runyard_service.api.middleware.stream_endpoint import is_served
from runyard_service.domain.ids import new_id
from tests.support.app_server import app_with, make_services

TICKET = {"ticket_subject": "Export is broken"}
EVENT_STREAM = {"Accept": "text/event-stream"}

# Every way to request a stream: path, required headers, cursor parameter, target.
STREAMS = [
    ("/v1/runs/{}/stream", {}, "after_sequence", "/v1/runs/{}/stream"),
    ("/threads/v1/runs/{}/events", {}, "after_seq", "/threads/v1/runs/{}/events"),
    ("/v1/runs/{}/events", EVENT_STREAM, "after_seq", "/threads/v1/runs/{}/events"),
]
each_stream = pytest.mark.parametrize(
    ("path", "headers", "cursor", "target"), STREAMS, ids=["runs", "threads", "threads at the root"]
)


@pytest.fixture
def gateway(stack: DevStack) -> Iterator[TestClient]:
    """Yield a client of the API endpoint, whose streaming endpoint is the stack's web server."""
    services = make_services(stack, stream_url=stack.base_url + "/", sync_wait_seconds=0.01)
    headers = {"Authorization": f"Bearer {stack.access_key}"}
    with TestClient(app_with(services), headers=headers, follow_redirects=False) as client:
        yield client


@pytest.fixture
def waiting(gateway: TestClient, stack: DevStack) -> Iterator[str]:
    """Start a run that waits for a person; yield its id, and cancel it afterwards."""
    body = {"input": {"ticket_subject": "Help!"}}
    created = httpx.post(f"{stack.base_url}/v1/runs", json=body, headers=key_of(gateway))
    run_id = created.json()["data"]["id"]
    yield run_id
    gateway.post(f"/v1/runs/{run_id}/cancel")


def key_of(gateway: TestClient) -> dict[str, str]:
    return {"Authorization": gateway.headers["authorization"]}


@each_stream
def test_every_stream_is_redirected_with_its_cursor_and_a_ticket(
    gateway: TestClient,
    waiting: str,
    path: str,
    headers: dict[str, str],
    cursor: str,
    target: str,
) -> None:
    for query, header, expected in (
        ({}, {}, 0),
        ({cursor: 2}, {}, 2),
        ({cursor: 1}, {"Last-Event-ID": "3"}, 3),
    ):
        answer = gateway.get(path.format(waiting), params=query, headers={**headers, **header})
        assert (answer.status_code, answer.content) == (303, b"")
        location = urlsplit(answer.headers["location"])
        assert location.path == target.format(waiting)
        ticket, *cursors = parse_qs(location.query).items()
        assert ticket[0] == "ticket"
        assert cursors == ([(cursor, [str(expected)])] if expected else [])
        # Like `curl -L` and a browser: the header is not sent to the redirect's target.
        with httpx.stream("GET", answer.headers["location"], timeout=30) as stream:
            lines = stream.iter_lines()
            assert [next(lines), next(lines)] == ["retry: 2000", f"id: {expected + 1}"]


@each_stream
def test_an_invalid_stream_request_is_rejected_before_the_redirect(
    gateway: TestClient,
    stack: DevStack,
    path: str,
    headers: dict[str, str],
    cursor: str,
    target: str,
) -> None:
    run = httpx.post(f"{stack.base_url}/v1/runs", json={"input": TICKET}, headers=key_of(gateway))
    run_id = run.json()["data"]["id"]
    listed = gateway.get(f"/v1/runs/{run_id}/events").json()
    last = listed["pagination"]["total_count"]
    wrong = {"Authorization": "Bearer wrong"}
    for address, query, more, status in (
        (path.format(run_id), {cursor: last}, {}, 204),
        (path.format(run_id), {}, {"Last-Event-ID": str(last)}, 204),
        (path.format(run_id), {cursor: last + 1}, {}, 400),
        (path.format(run_id), {cursor: "x"}, {}, 400),
        (path.format(new_id()), {}, {}, 404),
        (path.format("nonsense"), {}, {}, 404),
        (path.format(run_id), {}, wrong, 401),
    ):
        here = gateway.get(address, params=query, headers={**headers, **more})
        assert "location" not in here.headers
        # The streaming endpoint responds in the same way.
        sent = {**key_of(gateway), **headers, **more}
        there = httpx.get(stack.base_url + address, params=query, headers=sent)
        assert here.status_code == there.status_code
        assert status == here.status_code or (status, here.status_code) == (400, 422)
        head = gateway.head(address, params=query, headers={**headers, **more})
        assert (head.status_code, head.content) == (here.status_code, b"")


def test_a_replay_request_is_redirected_as_a_replay(gateway: TestClient, waiting: str) -> None:
    for path, headers in (("/threads/v1/runs/{}/events", {}), ("/v1/runs/{}/events", EVENT_STREAM)):
        answer = gateway.get(f"{path.format(waiting)}?follow=false", headers=headers)
        assert parse_qs(urlsplit(answer.headers["location"]).query)["follow"] == ["false"]
        assert "run.waiting_for_input" in httpx.get(answer.headers["location"], timeout=30).text


@each_stream
def test_a_stream_without_deltas_is_redirected_as_one(
    gateway: TestClient,
    waiting: str,
    path: str,
    headers: dict[str, str],
    cursor: str,
    target: str,
) -> None:
    answer = gateway.get(f"{path.format(waiting)}?deltas=false&{cursor}=1", headers=headers)
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    assert (query["deltas"], query[cursor]) == (["false"], ["1"])


@each_stream
def test_a_ticket_is_forwarded_and_not_renewed(
    gateway: TestClient,
    waiting: str,
    path: str,
    headers: dict[str, str],
    cursor: str,
    target: str,
) -> None:
    first = gateway.get(path.format(waiting), headers=headers).headers["location"]
    query = parse_qs(urlsplit(first).query)
    del gateway.headers["authorization"]
    again = gateway.get(path.format(waiting), params=query, headers=headers)
    assert again.headers["location"] == first
    for wrong in ("", "x", query["ticket"][0][:-1]):
        rejected = gateway.get(path.format(waiting), params={"ticket": wrong}, headers=headers)
        assert rejected.status_code == 401


def test_a_list_of_events_is_not_redirected(gateway: TestClient, waiting: str) -> None:
    listed = gateway.get(f"/v1/runs/{waiting}/events")
    assert listed.status_code == 200
    assert listed.json()["data"][0]["sequence"] == 1


def test_a_streamed_create_with_files_is_redirected(gateway: TestClient) -> None:
    texts = {"input": '{"ticket_subject": "Export is broken"}', "stream": "true"}
    answer = gateway.post("/v1/runs", data=texts, files={"files": ("a.txt", b"x", "text/plain")})
    assert answer.status_code == 303
    assert answer.headers["x-run-id"] in answer.headers["location"]
    assert "event: run.completed" in httpx.get(answer.headers["location"], timeout=30).text


def test_a_streamed_create_is_followed_at_the_streaming_endpoint(gateway: TestClient) -> None:
    response = gateway.post("/v1/runs", json={"input": TICKET, "stream": True})
    assert response.status_code == 303
    assert response.headers["x-run-id"] in response.headers["location"]
    # No header of the caller: the ticket is sufficient.
    events = httpx.get(response.headers["location"], timeout=30)
    assert events.headers["content-type"].startswith("text/event-stream")
    assert "event: run.started" in events.text
    assert "event: run.completed" in events.text


def test_a_stream_is_redirected_with_its_cursor(gateway: TestClient, stack: DevStack) -> None:
    run_id = gateway.post("/v1/runs", json={"input": TICKET, "background": True}).json()["data"][
        "id"
    ]
    path = f"/v1/runs/{run_id}/stream"
    response = gateway.get(path, headers={"Last-Event-ID": "2"})
    assert response.status_code == 303
    location = urlsplit(response.headers["location"])
    assert parse_qs(location.query)["after_sequence"] == ["2"]
    lines = httpx.get(response.headers["location"], timeout=30).text.splitlines()
    assert next(line for line in lines if line.startswith("id: ")) == "id: 3"
    # The ticket is valid for this stream only.
    ticket = parse_qs(location.query)["ticket"][0]
    for other in (
        f"/v1/runs/{run_id}?ticket={ticket}",
        f"/v1/runs/{run_id}/events?ticket={ticket}",
        f"{path}?ticket={ticket[:-1]}x",
        f"{path}?ticket=",
    ):
        assert httpx.get(stack.base_url + other).status_code == 401


def test_a_run_longer_than_the_endpoints_timeout_is_returned_as_accepted(
    gateway: TestClient, stores: Stores
) -> None:
    project = f"slow-{new_id()}"
    stores.access_keys.save(f"ry_{project}", project_id=project, org_id=project, agent="talker")
    # The run takes some seconds.
    response = gateway.post(
        "/v1/runs",
        json={"input": {"content": "slowly"}},
        headers={"Authorization": f"Bearer ry_{project}"},
    )
    assert response.status_code == 202
    run = response.json()["data"]
    assert response.headers["location"] == f"/v1/runs/{run['id']}"
    assert run["status"] in ("created", "started")


@pytest.fixture
def stream_client(stack: DevStack) -> Iterator[TestClient]:
    """Yield a client of the streaming endpoint."""
    headers = {"Authorization": f"Bearer {stack.access_key}"}
    with TestClient(app_with(make_services(stack, endpoint="stream")), headers=headers) as client:
        yield client


def test_the_streaming_endpoint_has_routes_for_streams_creates_and_reads() -> None:
    """Compare with the contract: a new route needs a decision here."""
    methods = {"get", "post", "put", "patch", "delete"}
    paths = json.loads(Path("openapi.json").read_text(encoding="utf-8"))["paths"]
    rejected = {
        f"{method.upper()} {path}"
        for path, operations in paths.items()
        for method in methods & operations.keys()
        if not is_served(method.upper(), path)
    }
    assert rejected == {
        "POST /v1/runs/{run_id}/input",
        "POST /v1/runs/{run_id}/cancel",
        "POST /v1/runs/{run_id}/migrate",
        "DELETE /v1/runs/{run_id}",
        "POST /v1/files",
        "POST /v1/keys",
        "DELETE /v1/keys/{key_id}",
        "DELETE /v1/webhooks/{webhook_id}",
        "PATCH /v1/webhooks/{webhook_id}",
        "POST /v1/webhooks",
        "POST /v1/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver",
        "POST /v1/webhooks/{webhook_id}/rotate-secret",
        "POST /v1/webhooks/{webhook_id}/test",
        "POST /threads/v1/threads",
        "PATCH /threads/v1/threads/{thread_id}",
        "DELETE /threads/v1/threads/{thread_id}",
        "POST /threads/v1/threads/{thread_id}/messages",
        "POST /threads/v1/runs/{run_id}:cancel",
        "POST /threads/v1/runs/{run_id}/input",
    }


def test_the_streaming_endpoint_creates_streams_and_reads(stream_client: TestClient) -> None:
    streamed = stream_client.post("/v1/runs", json={"input": TICKET, "stream": True})
    assert streamed.status_code == 200
    assert "event: run.completed" in streamed.text
    run_id = streamed.headers["x-run-id"]
    assert stream_client.get(f"/v1/runs/{run_id}").json()["data"]["status"] == "completed"
    assert stream_client.post(f"/v1/runs/{run_id}/ticket").status_code == 200


def test_the_streaming_endpoint_refers_other_requests_to_the_api(
    stream_client: TestClient, stores: Stores
) -> None:
    created = stream_client.post("/v1/runs", json={"input": TICKET, "background": True}).json()
    run_id = created["data"]["id"]
    canceled = stream_client.post(f"/v1/runs/{run_id}/cancel")
    assert canceled.status_code == 421
    error = canceled.json()["error"]
    assert error["code"] == "misdirected_request"
    assert "ApiUrl" in error["details"]["endpoint"]
    types = {event.type for event in stores.log.events(run_id)}
    assert not types & {"run.cancel_requested", "run.canceled"}

    # At the root, but routes of the Threads API.
    for method, path in (("DELETE", "/v1/threads/x"), ("POST", f"/v1/runs/{run_id}:cancel")):
        answer = stream_client.request(method, path)
        assert answer.status_code == 421
        assert answer.json()["code"] == "requests.misdirected"
        assert answer.json()["trace_id"]


def test_a_foreign_run_is_not_read_further_than_an_unknown_run(
    stack: DevStack, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read of its input from S3 would take longer, and so show that the run exists."""
    owner, stranger = (f"ry_{new_id()}" for _ in range(2))
    for secret in (owner, stranger):
        stores.access_keys.save(secret, project_id=secret, org_id=secret, agent="tools")
    text = "".join(map(str, range(100_000)))
    with TestClient(app_with(make_services(stack)), raise_server_exceptions=False) as api:
        body = {"input": {"case": "two input requests", "text": text}, "background": True}
        created = api.post("/v1/runs", json=body, headers={"Authorization": f"Bearer {owner}"})
        run_id = created.json()["data"]["id"]
        monkeypatch.delattr(Payloads, "fetch")
        api.headers["Authorization"] = f"Bearer {stranger}"
        for method, path in (
            ("GET", f"/v1/runs/{run_id}"),
            ("DELETE", f"/v1/runs/{run_id}"),
            ("GET", f"/threads/v1/runs/{run_id}"),
            ("POST", f"/v1/runs/{run_id}/cancel"),
        ):
            assert api.request(method, path).status_code == 404
        api.headers["Authorization"] = f"Bearer {owner}"
        assert api.get(f"/v1/runs/{run_id}").status_code == 500, "the input is not in S3"
