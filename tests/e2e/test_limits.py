"""Limits of rate, number and size; and the access of web pages of other origins."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from runyard_dev.access_key import ORG_ID, PROJECT_ID
from runyard_dev.dev_stack import DevStack
from runyard_service.adapters.dynamodb.run_index import active_runs
from runyard_service.adapters.stores import Stores
from runyard_service.domain.ids import new_id
from tests.support.app_server import app_with, make_services
from tests.support.service import Service

TICKET = {"ticket_subject": "Export is broken"}
# The local stack rejects pages of other hosts.
ORIGIN = "http://localhost:5173"
EXPOSED = {"location", "retry-after", "x-request-id", "x-run-id", "idempotency-replayed"}

Open = Callable[..., TestClient]


@pytest.fixture
def open_endpoint(local: DevStack) -> Iterator[Open]:
    """Return a function that opens an endpoint of the local stack, with its own settings.

    Its client uses a key of a new project.
    """
    with ExitStack() as clients:

        def open_client(**configured: Any) -> TestClient:
            services = make_services(local, **configured)
            secret = f"ry_{new_id()}"
            services.stores.access_keys.save(
                secret, project_id=f"project-{new_id()}", org_id="limits"
            )
            client = TestClient(app_with(services), raise_server_exceptions=False)
            client.headers["Authorization"] = f"Bearer {secret}"
            return clients.enter_context(client)

        yield open_client


def test_a_key_over_its_rate_limit_gets_a_retry_after_header(open_endpoint: Open) -> None:
    client = open_endpoint(key_requests_per_second=0.2)  # One request, then none for 5 s.
    path = f"/v1/runs/{new_id()}"
    assert client.get(path).status_code == 404
    response = client.get(path)
    error = {"code": "too_many_requests", "message": "Too Many Requests"}
    assert (response.status_code, response.json()) == (429, {"error": error})
    assert response.headers["retry-after"] == "5"
    assert response.headers["x-request-id"]
    # An invalid key uses no limit of a key, and the health route has none.
    wrong = client.get(path, headers={"Authorization": "Bearer wrong"})
    assert wrong.status_code == 401
    assert client.get("/v1/health").status_code == 200


def test_a_source_of_unknown_keys_and_tickets_is_limited(open_endpoint: Open) -> None:
    client = open_endpoint(source_rejections_per_second=0.5)  # One rejection, then none for 2 s.
    paths = ["/v1/runs", f"/v1/runs/{new_id()}/stream?ticket=x", "/threads/v1/threads"]
    known = client.get("/v1/runs")
    statuses = [
        client.get(path, headers={"Authorization": f"Bearer {new_id()}"}).status_code
        for path in paths
    ]
    assert (known.status_code, statuses) == (200, [401, 429, 429])
    authorization = client.headers.pop("Authorization")
    ticket = client.get(paths[1])
    assert (ticket.status_code, ticket.headers["retry-after"]) == (429, "2")
    # A key that is in the cache is not affected.
    assert client.get("/v1/runs", headers={"Authorization": authorization}).status_code == 200


def test_the_open_streams_of_a_key_are_limited(open_endpoint: Open) -> None:
    client = open_endpoint(key_max_streams=1, key_requests_per_second=1000)
    run = client.post("/v1/runs", json={"input": TICKET}).json()["data"]
    path = f"/v1/runs/{run['id']}/stream"
    for _ in range(3):  # Each stream ends with its run, so it is not open any more.
        assert client.get(path).status_code == 200
        assert client.head(path).status_code == 200
    state = client.app.state  # type: ignore[attr-defined]
    assert not state.open_streams._counts
    [key] = {name for name in state.rate_limits._buckets if name.startswith("key_")}
    state.open_streams.open(key, 1)
    rejected = client.get(path)
    assert rejected.status_code == 429
    assert "already has 1 open streams" in rejected.json()["error"]["details"]["stream"]


def test_a_project_cannot_exceed_its_limit_of_active_runs(
    open_endpoint: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(active_runs, "COUNT_CACHE_SECONDS", 0)
    client = open_endpoint(project_max_active_runs=2)
    waiting = {"input": {"ticket_subject": "Help!"}}
    for _ in range(3):  # A run that waits for a person is not active.
        run = client.post("/v1/runs", json=waiting).json()["data"]
        assert run["status"] == "awaiting_input", run["error"]

    services: Any = client.app.state.services_factory()  # type: ignore[attr-defined]
    monkeypatch.setattr(services.orchestrator, "start", lambda run: None)  # The runs stay active.
    body = {"input": TICKET, "background": True}
    responses = [client.post("/v1/runs", json=body) for _ in range(3)]
    assert [response.status_code for response in responses] == [202, 202, 429]
    error = responses[2].json()["error"]
    assert error["details"] == {"project": "already has 2 active runs"}
    assert int(responses[2].headers["retry-after"]) >= 1
    assert client.get("/v1/runs").json()["pagination"]["total_count"] == 5

    run_id = responses[0].json()["data"]["id"]
    assert client.post(f"/v1/runs/{run_id}/cancel").status_code == 200
    assert [client.post("/v1/runs", json=body).status_code for _ in range(2)] == [202, 429]


def test_a_project_can_have_its_own_limit_of_active_runs(
    local: DevStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(active_runs, "COUNT_CACHE_SECONDS", 0)
    services = make_services(local, project_max_active_runs=1)
    monkeypatch.setattr(services.orchestrator, "start", lambda run: None)  # The runs stay active.
    secret, project = f"ry_{new_id()}", f"project-{new_id()}"
    services.stores.access_keys.save(secret, project_id=project, org_id="limits")
    services.stores.project_limits.set_max_active_runs(project, 2)
    body = {"input": TICKET, "background": True}
    headers = {"Authorization": f"Bearer {secret}"}
    with TestClient(app_with(services)) as client:
        responses = [client.post("/v1/runs", json=body, headers=headers) for _ in range(3)]
        assert [response.status_code for response in responses] == [202, 202, 429]
        details = responses[2].json()["error"]["details"]
        assert details == {"project": "already has 2 active runs"}


def test_an_endpoint_adds_admitted_runs_to_its_last_count(
    local: DevStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(active_runs, "COUNT_CACHE_SECONDS", 60)
    active = make_services(local).stores.active_runs
    project_id = f"project-{new_id()}"
    assert [active.project_has_capacity(project_id, 3) for _ in range(5)] == [True] * 3 + [
        False
    ] * 2
    assert active.project_has_capacity(f"project-{new_id()}", 3)
    assert active.project_has_capacity(project_id, 0)


def test_a_noisy_project_does_not_use_the_limits_of_another(
    local: DevStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = make_services(local, project_max_active_runs=2, key_requests_per_second=0.5)
    monkeypatch.setattr(services.orchestrator, "start", lambda run: None)  # The runs stay active.
    noisy, calm = ({"Authorization": f"Bearer ry_{new_id()}"} for _ in range(2))
    for headers in (noisy, calm):
        secret = headers["Authorization"].removeprefix("Bearer ")
        services.stores.access_keys.save(secret, project_id=f"p-{secret}", org_id="limits")
    body = {"input": TICKET, "background": True}
    with TestClient(app_with(services)) as client:
        # A bucket of one request; later without a rate limit.
        assert client.post("/v1/runs", json=body, headers=noisy).status_code == 202
        assert client.post("/v1/runs", json=body, headers=noisy).status_code == 429
        assert client.post("/v1/runs", json=body, headers=calm).status_code == 202
    services = make_services(local, project_max_active_runs=2, key_requests_per_second=0)
    monkeypatch.setattr(services.orchestrator, "start", lambda run: None)
    with TestClient(app_with(services)) as client:
        statuses = [client.post("/v1/runs", json=body, headers=noisy).status_code for _ in range(5)]
        assert sorted(set(statuses)) == [202, 429]
        assert client.post("/v1/runs", json=body, headers=calm).status_code == 202


def test_a_repeated_create_returns_its_run_even_at_the_limit_of_active_runs(
    open_endpoint: Open,
) -> None:
    client = open_endpoint(project_max_active_runs=1)
    body = {"input": TICKET, "stream": True}
    streams = [
        client.post("/v1/runs", json=body, headers={"Idempotency-Key": "k"}) for _ in range(2)
    ]
    assert [stream.status_code for stream in streams] == [200, 200]
    assert streams[0].headers["x-run-id"] == streams[1].headers["x-run-id"]


@pytest.mark.usefixtures("threads_of_tests")
def test_a_large_input_is_returned_unchanged(own_stores: Stores, service: Service) -> None:
    secret = f"ry_{new_id()}"
    # The agent of the tests accepts any input.
    own_stores.access_keys.save(secret, project_id=PROJECT_ID, org_id=ORG_ID, agent="tools")
    large = {"case": "two input requests", "text": "ä" * 1_000_000, "n": [1.5, 10**30, None]}
    headers = {"Authorization": f"Bearer {secret}"}
    created = service.http.post("/v1/runs", json={"input": large}, headers=headers)
    assert created.status_code == 200, created.text
    run = created.json()["data"]
    assert run["status"] == "awaiting_input", run["error"]
    assert run["input"] == large
    assert service.run(run["id"])["input"] == large


# --- web pages of other origins ------------------------------------------------------------------


def names(response: httpx.Response, header: str) -> set[str]:
    return {name.strip().lower() for name in response.headers.get(header, "").split(",")}


@pytest.mark.parametrize(
    ("method", "path", "request_headers"),
    [
        ("POST", "/v1/runs", "authorization, content-type, idempotency-key, x-project-id"),
        (
            "GET",
            "/v1/runs/8f14e45f-ceea-467f-a0e6-1d2f1a1d7f11/stream",
            "authorization, last-event-id",
        ),
    ],
)
def test_a_browser_may_send_a_preflight_request(
    service: Service, method: str, path: str, request_headers: str
) -> None:
    headers = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": request_headers,
    }
    response = httpx.options(service.base_url + path, headers=headers)
    assert response.status_code in (200, 204)
    assert response.headers["access-control-allow-origin"] in ("*", ORIGIN)
    assert method in response.headers["access-control-allow-methods"]
    allowed = names(response, "access-control-allow-headers")
    assert "*" in allowed or set(request_headers.split(", ")) <= allowed


def test_a_page_may_read_responses_and_errors(service: Service) -> None:
    headers = {"Origin": ORIGIN}
    created = service.http.post(
        "/v1/runs", json={"input": TICKET, "background": True}, headers=headers
    )
    run_id = created.json()["data"]["id"]
    no_key = {"Origin": ORIGIN, "Authorization": "Bearer wrong"}
    responses = [
        created,
        service.http.get(f"/v1/runs/{run_id}", headers=headers),
        service.http.get(f"/v1/runs/{run_id}/stream", headers=headers),
        service.http.get(f"/v1/runs/{run_id}", headers=no_key),
        service.http.get("/v1/nothing", headers=headers),
        service.http.post("/v1/runs", json={}, headers=headers),
    ]
    assert [response.status_code for response in responses] == [202, 200, 200, 401, 404, 400]
    for response in responses:
        # Exactly once: browsers reject a repeated header.
        assert response.headers.get_list("access-control-allow-origin") in (["*"], [ORIGIN])
        exposed = names(response, "access-control-expose-headers")
        assert "*" in exposed or exposed >= EXPOSED


def test_a_page_may_read_an_internal_error(
    open_endpoint: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = open_endpoint(cors_origin=ORIGIN)

    def broken(*_: Any) -> None:
        raise RuntimeError("unexpected error of the test")

    services: Any = client.app.state.services_factory()  # type: ignore[attr-defined]
    monkeypatch.setattr(services.stores.runs, "get", broken)
    response = client.get(f"/v1/runs/{new_id()}", headers={"Origin": ORIGIN})
    assert response.status_code == 500
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert response.headers["x-request-id"]


def test_no_cors_headers_are_sent_if_the_platform_sends_them(open_endpoint: Open) -> None:
    response = open_endpoint(cors_origin="").get("/v1/health", headers={"Origin": ORIGIN})
    assert response.status_code == 200
    assert [name for name in response.headers if name.startswith("access-control")] == []
