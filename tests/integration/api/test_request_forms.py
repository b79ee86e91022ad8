"""Unusual but valid requests, and rejected ones, at the API endpoint and at the streaming endpoint.

Each request has the same response at both endpoints, in both APIs.
"""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from runyard_dev.dev_stack import DevStack
from runyard_service.domain.ids import new_id
from tests.support.app_server import app_with, make_services
from tests.support.threads_service import ThreadsService

TICKET = {"ticket_subject": "Export is broken"}
EVENT_STREAM = {"Accept": "text/event-stream"}


@pytest.fixture(params=["api", "stream"])
def client(request: pytest.FixtureRequest, stack: DevStack) -> Iterator[TestClient]:
    """Yield a client of each endpoint."""
    url = {"api": {"stream_url": stack.base_url}, "stream": {}}[request.param]
    services = make_services(stack, endpoint=request.param, sync_wait_seconds=20, **url)
    headers = {"Authorization": f"Bearer {stack.access_key}"}
    with TestClient(app_with(services), headers=headers, follow_redirects=False) as opened:
        yield opened


@pytest.fixture
def run_id(client: TestClient) -> str:
    """Return the id of a completed run."""
    return str(client.post("/v1/runs", json={"input": TICKET}).json()["data"]["id"])


@pytest.fixture
def threads(stack: DevStack) -> Iterator[ThreadsService]:
    """Yield a client of the Threads API."""
    with ThreadsService(stack.base_url, stack.access_key) as service:
        yield service


def details_of(response: Any) -> Any:
    assert response.status_code in (400, 415, 422), response.text
    body = response.json()
    return body.get("error", body)["details"]


def test_ids_have_any_form_of_a_uuid(
    client: TestClient, threads: ThreadsService, run_id: str
) -> None:
    thread_id = threads.thread("Hello")
    for form in (str.upper, lambda text: text.replace("-", ""), "urn:uuid:{}".format):
        run, thread = form(run_id), form(thread_id)
        assert client.get(f"/v1/runs/{run}").json()["data"]["id"] == run_id
        assert client.get(f"/v1/runs/{run}/events").status_code == 200
        assert client.get(f"/threads/v1/threads/{thread}").json()["id"] == thread_id
        listed = client.get("/threads/v1/runs", params={"before": run})
        assert listed.status_code == 200
        assert client.get("/threads/v1/threads", params={"before": thread}).status_code == 200
        ticket = client.post(f"/v1/runs/{run_id}/ticket").json()["data"]["ticket"]
        path = f"/v1/runs/{run}/stream?ticket={ticket}&after_sequence=1"
        assert client.get(path, headers={"Authorization": ""}).status_code in (200, 303, 401)


def test_a_session_is_found_under_each_form_of_its_id(client: TestClient) -> None:
    session = new_id()
    created = client.post("/v1/runs", json={"input": TICKET, "session_id": f"urn:uuid:{session}"})
    assert created.json()["data"]["session_id"] == session
    for form in (session, session.upper(), session.replace("-", ""), f"urn:uuid:{session}"):
        listed = client.get("/v1/runs", params={"session_id": form}).json()
        assert [run["id"] for run in listed["data"]] == [created.json()["data"]["id"]]


def test_a_long_request_id_is_rejected(stack: DevStack, run_id: str) -> None:
    headers = {"Authorization": f"Bearer {stack.access_key}"}
    long = "x" * 1017
    data = {"request_id": long, "feedback": "a"}
    for path, body, field in (
        (f"/v1/runs/{run_id}/input", {"type": "human_feedback", "data": data}, "data.request_id"),
        (f"/threads/v1/runs/{run_id}/input", {"content": "a", "request_id": long}, "request_id"),
    ):
        answer = httpx.post(stack.base_url + path, json=body, headers=headers)
        assert details_of(answer) == {field: "must be a UUID"}
    thread = httpx.post(f"{stack.base_url}/threads/v1/threads", headers=headers).json()["id"]
    for name in ("persona_id", "route_id", "model"):
        path = f"{stack.base_url}/threads/v1/threads/{thread}/runs"
        answer = httpx.post(path, json={name: "x" * 3000}, headers=headers)
        assert details_of(answer) == {name: "must be at most 256 characters long"}
    for project in ("x" * 3000, "\N{LATIN SMALL LETTER E WITH ACUTE}" * 500):
        sent = httpx.Headers({**headers, "X-Project-Id": project}, encoding="latin-1")
        assert httpx.get(f"{stack.base_url}/v1/runs", headers=sent).status_code == 400


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/v1/health", {}),
        ("/v1/runs", {}),
        ("/v1/runs/{}", {}),
        ("/v1/runs/{}/events", {}),
        ("/v1/runs/{}/stream", {}),
        ("/v1/runs/{}/events", EVENT_STREAM),
        ("/v1/runs/{}/export", {}),
        ("/threads/v1/runs/{}/events", {}),
        ("/threads/v1/threads", {}),
        ("/v1/personas", {}),
        ("/v1/unknown", {}),
    ],
)
def test_head_is_get_without_a_body(
    client: TestClient, run_id: str, path: str, headers: dict[str, str]
) -> None:
    path = path.format(run_id)
    got, head = (client.request(method, path, headers=headers) for method in ("GET", "HEAD"))
    assert head.status_code == got.status_code
    assert head.content == b""
    for name in ("content-type", "content-length"):
        assert head.headers.get(name) == got.headers.get(name)
    assert client.request("PUT", path).headers.get("allow", "HEAD").find("HEAD") >= 0


def test_a_compressed_body_is_unsupported(client: TestClient, stack: DevStack) -> None:
    encoded = {"Content-Encoding": "gzip"}
    answer = client.post("/v1/runs", content=b"\x1f\x8b", headers=encoded)
    assert answer.status_code == 415
    assert details_of(answer) == {"content-encoding": "must be identity or absent"}
    answer = client.post("/v1/runs", files={"files": b"x"}, headers=encoded)
    assert (answer.status_code, [*details_of(answer)]) == (415, ["content-encoding"])
    same = client.post("/v1/runs", json={"input": {}}, headers={"Content-Encoding": "identity"})
    assert details_of(same) == {"input": "cannot be blank"}
    answer = client.post("/v1/runs", content=b"x", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415
    assert "multipart/form-data" in details_of(answer)["content-type"]


@pytest.mark.parametrize(
    ("path", "own", "other"),
    [
        ("/v1/runs/{}/stream", "after_sequence", "after_seq"),
        ("/threads/v1/runs/{}/events", "after_seq", "after_sequence"),
    ],
)
def test_query_names_of_streams_are_checked(
    client: TestClient, run_id: str, path: str, own: str, other: str
) -> None:
    path = path.format(run_id)
    last = client.get(f"/v1/runs/{run_id}/events").json()["pagination"]["total_count"]
    for name in (own, other, "lastEventId"):
        assert client.get(path, params={name: last}).status_code == 204
        rejected = client.get(path, params={name: last + 1})
        assert details_of(rejected) == {name: f"exceeds the last sequence, {last}"}
    unknown = client.get(path, params={"after": 2})
    expected = "is not a known parameter; known: after_seq, after_sequence, "
    assert details_of(unknown)["after"].startswith(expected)
    for cursor in ("x", str(last + 1)):
        rejected = client.get(path, headers={"Last-Event-ID": cursor})
        assert [*details_of(rejected)] == ["Last-Event-ID"]
    listed = client.get(f"/v1/runs/{run_id}/events?pagesize=2")
    [issue] = details_of(listed).values()
    assert issue.startswith("is not a known parameter; known: after_sequence, deltas, page, ")
    assert issue.endswith("; did you mean 'page_size'?")


def test_blank_parameters_count_as_absent(client: TestClient, run_id: str) -> None:
    blank = "page=&page_size=&status=&sort=&user_id=&session_id=&agent="
    blank += "&started_after=&started_before=&ended_after="
    assert client.get(f"/v1/runs?{blank}").status_code == 200
    assert client.get("/v1/runs?sort=status,").status_code == 200
    assert client.get("/threads/v1/runs?limit=&before=&status=").status_code == 200
    assert client.get(f"/v1/runs/{run_id}/events?page=&page_size=&sort=").status_code == 200


def test_null_and_an_empty_form_part_count_as_absent(client: TestClient) -> None:
    absent = ("user_id", "session_id", "background", "stream", "file_ids")
    created = client.post("/v1/runs", json={"input": TICKET, **dict.fromkeys(absent)})
    assert created.status_code == 200, created.text
    texts = {"input": '{"ticket_subject": "x"}', "user_id": "", "session_id": "", "stream": ""}
    form = client.post("/v1/runs", data={**texts, "background": "True"}, files={"files": b"x"})
    assert form.status_code == 202, form.text


@pytest.mark.parametrize("path", ["/v1/runs/{}/cancel%0A", "/v1/runs/{}%00", "/threads/v1/x%C2%85"])
def test_a_path_with_a_control_character_leads_nowhere(
    client: TestClient, run_id: str, path: str
) -> None:
    for method in ("GET", "POST", "DELETE"):
        rejected = client.request(method, path.format(run_id))
        assert rejected.status_code == 404
        assert rejected.json().get("code", "requests.no_such_route") == "requests.no_such_route"


def test_the_streaming_endpoint_takes_no_unknown_posts(client: TestClient) -> None:
    expected = {client.post(path).status_code for path in ("/v1/unknown", "/x", "/v1/runs//ticket")}
    assert expected <= {404, 421}


def test_a_page_starts_after_a_deleted_thread(stack: DevStack, client: TestClient) -> None:
    ids = [new_thread(stack) for _ in range(4)]
    first = httpx.get(f"{stack.base_url}/threads/v1/threads?limit=2", headers=key_of(stack))
    assert [thread["id"] for thread in first.json()] == ids[:1:-1]
    for thread_id in ids[2:]:
        for _ in range(2):
            path = f"{stack.base_url}/threads/v1/threads/{thread_id}"
            assert httpx.delete(path, headers=key_of(stack)).status_code == 204
        assert client.get(f"/threads/v1/threads/{thread_id}").status_code == 404
    following = httpx.get(first.links["next"]["url"], headers=key_of(stack))
    assert [thread["id"] for thread in following.json()] == ids[1::-1]


def key_of(stack: DevStack) -> dict[str, str]:
    return {"Authorization": f"Bearer {stack.access_key}"}


def new_thread(stack: DevStack) -> str:
    created = httpx.post(f"{stack.base_url}/threads/v1/threads", headers=key_of(stack))
    return str(created.json()["id"])


def test_the_same_answer_again_is_accepted_by_the_threads_api(stack: DevStack) -> None:
    run = httpx.post(
        f"{stack.base_url}/v1/runs",
        json={"input": {"ticket_subject": "Help!"}},
        headers=key_of(stack),
        timeout=60,
    ).json()["data"]
    assert run["status"] == "awaiting_input"
    path = f"{stack.base_url}/threads/v1/runs/{run['id']}/input"
    answers = [
        httpx.post(path, json={"content": content}, headers=key_of(stack)).status_code
        for content in ("billing", "billing", "technical")
    ]
    assert answers == [200, 200, 409]


def test_an_answer_with_the_same_name_twice_is_rejected(stack: DevStack, run_id: str) -> None:
    data = '{"request_id": "x", "is_approved": false, "is_approved": true}'
    body = f'{{"type": "approval_request", "data": {data}}}'
    for path in (f"/v1/runs/{run_id}/input", f"/threads/v1/runs/{run_id}/input"):
        answer = httpx.post(stack.base_url + path, content=body, headers=key_of(stack))
        assert details_of(answer) == {"body": "has the name 'is_approved' twice in one object"}


def test_a_large_form_is_rejected_before_api_gateway_would(stack: DevStack) -> None:
    services = make_services(stack, stream_url=stack.base_url)
    with TestClient(app_with(services), headers=key_of(stack)) as gateway:
        for path, part in (("/v1/runs", "files"), ("/v1/files", "file")):
            answer = gateway.post(path, data={"input": "{}"}, files={part: b"x" * 4_400_000})
            assert answer.status_code == 413
            details = answer.json()["error"]["details"]
            assert details["body"].startswith("must be at most 4400000 bytes; upload larger files")
        small = gateway.post("/v1/runs", data={"input": "{}"}, files={"files": b"x" * 4_000_000})
        assert details_of(small) == {"input": "cannot be blank"}
