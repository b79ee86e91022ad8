"""`GET /v1/usage` over HTTP."""

from typing import Any

import httpx
import pytest

from runyard_service.adapters.stores import Stores
from runyard_service.domain.ids import new_id
from tests.support.run_factory import create_run
from tests.support.service import Service

FEW = {"completed": 0, "failed": 0, "canceled": 0, "runs_without_cost": 0, "cost_usd": None}
TOKENS = {
    "input_tokens": 0,
    "output_tokens": 0,
    "cached_input_tokens": 0,
    "cache_write_tokens": 0,
}
DAYS = {"from": "2026-06-10", "to": "2026-06-11"}
DAY = "must be a day (UTC), such as 2026-06-10"


@pytest.fixture
def project_id(project: Service, own_stores: Stores) -> str:
    """Record and count four runs of the project, on two days."""
    key = own_stores.access_keys.find(project.access_key)
    assert key is not None
    usage: dict[str, Any] = {
        "input_tokens": 100,
        "cached_input_tokens": 40,
        "cache_write_tokens": 7,
        "steps": 1,
    }
    fields: dict[str, Any] = {
        "project_id": key.project_id,
        "org_id": key.org_id,
        "agent": "triage@1",
    }
    known = {**usage, "output_tokens": 5, "cost_usd": "0.1"}
    ends: list[dict[str, Any]] = [
        {"status": "completed", "usage": known, "model": "fast", "user_id": "ada"},
        {"status": "completed", "usage": {**known, "cost_usd": "0.2"}, "model": "fast"},
        {"status": "failed", "usage": usage, "model": "own", "user_id": "ada"},
        {"status": "canceled", "agent": "orders@2", "ended_at": "2026-06-11T00:00:00.000Z"},
    ]
    for more in ends:
        run = create_run(own_stores, **{**fields, "ended_at": "2026-06-10T23:59:59.999Z", **more})
        own_stores.usage_counters.add([run.id])
    return key.project_id


def usage_of(service: Service, **query: Any) -> list[dict[str, Any]]:
    response = service.http.get("/v1/usage", params=query)
    assert response.status_code == 200, response.text
    rows: list[dict[str, Any]] = response.json()["data"]
    return rows


FIRST_DAY = {
    **FEW,
    "day": "2026-06-10",
    "runs": 3,
    "completed": 2,
    "failed": 1,
    "input_tokens": 300,
    "cached_input_tokens": 120,
    "cache_write_tokens": 21,
    "output_tokens": 10,
    "cost_usd": 0.3,
    "runs_without_cost": 1,
}
SECOND_DAY = {**FEW, **TOKENS, "day": "2026-06-11", "runs": 1, "canceled": 1}


def test_a_row_is_the_sum_of_the_runs_that_ended_on_the_day(
    project: Service, project_id: str
) -> None:
    assert usage_of(project, **DAYS) == [FIRST_DAY, SECOND_DAY]
    assert usage_of(project, **DAYS, by="day") == [FIRST_DAY, SECOND_DAY]
    assert usage_of(project, **{"from": "2026-06-11", "to": "2026-06-12"}) == [SECOND_DAY]
    assert usage_of(project, **{"from": "2026-06-10", "to": "2026-06-10"}) == [FIRST_DAY]
    assert usage_of(project, to="2026-07-09") == [FIRST_DAY, SECOND_DAY]
    assert usage_of(project, to="2026-07-10") == [SECOND_DAY]
    assert usage_of(project, **{"from": "", "to": "", "by": ""}) == []


def test_rows_are_by_agent_model_or_user(project: Service, project_id: str) -> None:
    by_agent = usage_of(project, **DAYS, by="agent")
    assert by_agent == [{**FIRST_DAY, "agent": "triage"}, {**SECOND_DAY, "agent": "orders"}]
    models = [
        (row.get("model"), row["runs"], row["cost_usd"], row["runs_without_cost"])
        for row in usage_of(project, **DAYS, by="model")
    ]
    assert models == [("fast", 2, 0.3, 0), ("own", 1, None, 1), (None, 1, None, 0)]
    users = [
        (row["day"], row.get("user_id"), row["runs"], row["cost_usd"], row["runs_without_cost"])
        for row in usage_of(project, **DAYS, by="user")
    ]
    assert users == [
        ("2026-06-10", None, 1, 0.2, 0),
        ("2026-06-10", "ada", 2, 0.1, 1),
        ("2026-06-11", None, 1, None, 0),
    ]


def test_another_project_has_its_own_usage(
    project: Service, project_id: str, service: Service, own_stores: Stores
) -> None:
    assert usage_of(service, **DAYS) == []
    secret = f"ry_test_{new_id()}"
    own_stores.access_keys.save(secret, project_id="", org_id="org")
    headers = {"Authorization": f"Bearer {secret}"}
    url = project.base_url + "/v1/usage"
    unnamed = httpx.get(url, params=DAYS, headers=headers)
    assert unnamed.status_code == 400
    named = httpx.get(url, params=DAYS, headers={**headers, "X-Project-Id": project_id})
    assert named.json() == {"data": [FIRST_DAY, SECOND_DAY]}
    other = httpx.get(url, params=DAYS, headers={**headers, "X-Project-Id": new_id()})
    assert other.status_code == 404


def test_usage_requires_a_key_with_read_scope(service: Service, own_stores: Stores) -> None:
    url = service.base_url + "/v1/usage"
    assert httpx.get(url).status_code == 401
    secret = f"ry_test_{new_id()}"
    own_stores.access_keys.save(
        secret, project_id="write-only", org_id="org", scopes=frozenset({"runs:write"})
    )
    assert httpx.get(url, headers={"Authorization": f"Bearer {secret}"}).status_code == 403


@pytest.mark.parametrize(
    ("query", "details"),
    [
        ("by=week", {"by": "must be one of: day, agent, model, user"}),
        ("from=20260610", {"from": DAY}),
        ("from=2026-6-1&to=yesterday", {"from": DAY, "to": DAY}),
        ("to=2026-06-10T00:00:00Z", {"to": DAY}),
        ("to=2026-02-29", {"to": DAY}),
        ("to=0001-01-01", {"to": DAY}),
        ("from=2026-06-11&to=2026-06-10", {"from": "must not be after to"}),
        ("from=2026-01-01&to=2026-04-03", {"from": "must be at most 91 days before to"}),
        ("by=day&by=user", {"by": "must appear only once"}),
        ("since=2026-06-10", {"since": "is not a known parameter; known: by, from, to"}),
    ],
)
def test_an_invalid_query_of_the_usage_is_rejected(
    service: Service, query: str, details: dict[str, str]
) -> None:
    response = service.http.get(f"/v1/usage?{query}")
    assert (response.status_code, response.json()["error"]["details"]) == (400, details)
