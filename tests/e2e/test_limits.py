"""Limits of rate, number and size, and what a page from elsewhere may read of it all."""

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
ORIGIN = "https://app.example"
EXPOSED = {"location", "retry-after", "x-request-id", "x-run-id", "idempotency-replayed"}

Open = Callable[..., TestClient]


@pytest.fixture
def open_door(local: DevStack) -> Iterator[Open]:
    """Opens doors of the local stack, with settings of their own and a key of a new project."""
    with ExitStack() as doors:

        def opened(**configured: Any) -> TestClient:
            services = make_services(local, **configured)
            secret = f"ry_{new_id()}"
            services.stores.access_keys.put(
                secret, project_id=f"project-{new_id()}", org_id="limits"
            )
            door = TestClient(app_with(services), raise_server_exceptions=False)
            door.headers["Authorization"] = f"Bearer {secret}"
            return doors.enter_context(door)

        yield opened


def test_a_key_that_asks_too_fast_is_told_when_to_come_back(open_door: Open) -> None:
    door = open_door(key_requests_per_second=0.2)  # One, then none for five seconds.
    path = f"/v1/runs/{new_id()}"
    assert door.get(path).status_code == 404
    response = door.get(path)
    error = {"code": "too_many_requests", "message": "Too Many Requests"}
    assert (response.status_code, response.json()) == (429, {"error": error})
    assert response.headers["retry-after"] == "5"
    assert response.headers["x-request-id"]
    # A key that is none takes nothing from anybody, and health is for everyone.
    wrong = door.get(path, headers={"Authorization": "Bearer wrong"})
    assert wrong.status_code == 401
    assert door.get("/v1/health").status_code == 200


def test_a_project_has_so_many_runs_at_work_and_no_more(
    open_door: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(active_runs, "COUNTED_EVERY_SECONDS", 0)
    door = open_door(project_max_active_runs=2)
    waiting = {"input": {"ticket_subject": "Help!"}}
    for _ in range(3):  # What waits for a person is not at work.
        run = door.post("/v1/runs", json=waiting).json()["data"]
        assert run["status"] == "awaiting_input"

    services: Any = door.app.state.services_factory()  # type: ignore[attr-defined]
    monkeypatch.setattr(services.orchestrator, "start", lambda run: None)  # They stay at work.
    body = {"input": TICKET, "background": True}
    answers = [door.post("/v1/runs", json=body) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202, 202, 429]
    error = answers[2].json()["error"]
    assert error["details"] == {"project": "already has 2 active runs"}
    assert int(answers[2].headers["retry-after"]) >= 1
    assert door.get("/v1/runs").json()["pagination"]["total_count"] == 5

    run_id = answers[0].json()["data"]["id"]
    assert door.post(f"/v1/runs/{run_id}/cancel").status_code == 200
    assert [door.post("/v1/runs", json=body).status_code for _ in range(2)] == [202, 429]


def test_a_door_counts_what_it_admits_until_it_counts_anew(
    local: DevStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(active_runs, "COUNTED_EVERY_SECONDS", 60)
    counted = make_services(local).stores.live_runs
    project_id = f"project-{new_id()}"
    assert [counted.project_has_capacity(project_id, 3) for _ in range(5)] == [True] * 3 + [
        False
    ] * 2
    assert counted.project_has_capacity(f"project-{new_id()}", 3)
    assert counted.project_has_capacity(project_id, 0)


def test_a_noisy_project_takes_nothing_from_another(
    local: DevStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = make_services(local, project_max_active_runs=2, key_requests_per_second=0.5)
    monkeypatch.setattr(services.orchestrator, "start", lambda run: None)  # They stay at work.
    noisy, calm = ({"Authorization": f"Bearer ry_{new_id()}"} for _ in range(2))
    for headers in (noisy, calm):
        secret = headers["Authorization"].removeprefix("Bearer ")
        services.stores.access_keys.put(secret, project_id=f"p-{secret}", org_id="limits")
    body = {"input": TICKET, "background": True}
    with TestClient(app_with(services)) as door:
        # A bucket of one request; then of as many as it likes.
        assert door.post("/v1/runs", json=body, headers=noisy).status_code == 202
        assert door.post("/v1/runs", json=body, headers=noisy).status_code == 429
        assert door.post("/v1/runs", json=body, headers=calm).status_code == 202
    services = make_services(local, project_max_active_runs=2, key_requests_per_second=0)
    monkeypatch.setattr(services.orchestrator, "start", lambda run: None)
    with TestClient(app_with(services)) as door:
        statuses = [door.post("/v1/runs", json=body, headers=noisy).status_code for _ in range(5)]
        assert sorted(set(statuses)) == [202, 429]
        assert door.post("/v1/runs", json=body, headers=calm).status_code == 202


def test_a_run_that_was_started_is_found_again_though_there_is_no_room(open_door: Open) -> None:
    door = open_door(project_max_active_runs=1)
    body = {"input": TICKET, "stream": True}
    streams = [door.post("/v1/runs", json=body, headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert [stream.status_code for stream in streams] == [200, 200]
    assert streams[0].headers["x-run-id"] == streams[1].headers["x-run-id"]


@pytest.mark.usefixtures("threads_of_tests")
def test_a_large_input_comes_back_whole(own_stores: Stores, service: Service) -> None:
    secret = f"ry_{new_id()}"
    # The tests' own agent takes any input.
    own_stores.access_keys.put(secret, project_id=PROJECT_ID, org_id=ORG_ID, agent="tools")
    large = {"case": "questions", "text": "ä" * 1_000_000, "n": [1.5, 10**30, None]}
    headers = {"Authorization": f"Bearer {secret}"}
    created = service.http.post("/v1/runs", json={"input": large}, headers=headers)
    assert created.status_code == 200, created.text
    run = created.json()["data"]
    assert run["status"] == "awaiting_input"
    assert run["input"] == large
    assert service.run(run["id"])["input"] == large


# --- pages from elsewhere ------------------------------------------------------------------------


def names(response: httpx.Response, header: str) -> set[str]:
    return {name.strip().lower() for name in response.headers.get(header, "").split(",")}


@pytest.mark.parametrize(
    ("method", "path", "wanted"),
    [
        ("POST", "/v1/runs", "authorization, content-type, idempotency-key, x-project-id"),
        (
            "GET",
            "/v1/runs/8f14e45f-ceea-467f-a0e6-1d2f1a1d7f11/stream",
            "authorization, last-event-id",
        ),
    ],
)
def test_a_browser_may_ask(service: Service, method: str, path: str, wanted: str) -> None:
    headers = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": wanted,
    }
    response = httpx.options(service.base_url + path, headers=headers)
    assert response.status_code in (200, 204)
    assert response.headers["access-control-allow-origin"] in ("*", ORIGIN)
    assert method in response.headers["access-control-allow-methods"]
    allowed = names(response, "access-control-allow-headers")
    assert "*" in allowed or set(wanted.split(", ")) <= allowed


def test_a_page_may_read_answers_and_errors(service: Service) -> None:
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
        # Once: a doubled header is as bad as none.
        assert response.headers.get_list("access-control-allow-origin") in (["*"], [ORIGIN])
        exposed = names(response, "access-control-expose-headers")
        assert "*" in exposed or exposed >= EXPOSED


def test_a_page_may_read_an_error_that_nobody_caught(
    open_door: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = open_door(cors_origin=ORIGIN)

    def broken(*_: Any) -> None:
        raise RuntimeError("nobody expects this")

    services: Any = door.app.state.services_factory()  # type: ignore[attr-defined]
    monkeypatch.setattr(services.stores.runs, "get", broken)
    response = door.get(f"/v1/runs/{new_id()}", headers={"Origin": ORIGIN})
    assert response.status_code == 500
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert response.headers["x-request-id"]


def test_behind_a_platform_that_answers_for_it_the_door_says_nothing(open_door: Open) -> None:
    response = open_door(cors_origin="").get("/v1/health", headers={"Origin": ORIGIN})
    assert response.status_code == 200
    assert [name for name in response.headers if name.startswith("access-control")] == []
