"""The webhook API over HTTP: endpoints, secrets, deliveries and access."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from runyard_dev.dev_stack import DevStack
from runyard_service.adapters.dynamodb.access_keys import Scope
from runyard_service.adapters.dynamodb.webhooks import MAX_WEBHOOKS
from runyard_service.adapters.stores import Stores
from runyard_service.domain.ids import new_id, parse_id
from tests.support.service import Service

URL = "https://hooks.example.com/runyard"


pytestmark = pytest.mark.skipif(
    bool(os.environ.get("BASE_URL") or os.environ.get("STACK")),
    reason="the test creates keys in the store, which a deployed service does not expose",
)


@pytest.fixture
def project(stack: DevStack, stores: Stores) -> Iterator[Service]:
    """Yield a service with a key of a new project.

    No notification is delivered here: the integration tests cover delivery.
    """
    key = f"ry_{new_id()}"
    stores.access_keys.save(key, project_id=f"project-{new_id()}", org_id="o")
    service = Service(stack.base_url, key)
    yield service
    service.close()


def create(project: Service, **fields: Any) -> dict[str, Any]:
    response = project.http.post("/v1/webhooks", json={"url": URL, **fields})
    assert response.status_code == 201, response.text
    webhook: dict[str, Any] = response.json()["data"]
    assert response.headers["location"] == f"/v1/webhooks/{webhook['id']}"
    return webhook


def test_a_secret_is_returned_once(project: Service) -> None:
    webhook = create(project, description="Ours")
    secret = webhook.pop("secret")
    assert secret.startswith("whsec_")
    assert webhook == {
        "id": webhook["id"],
        "url": URL,
        "events": ["*"],
        "description": "Ours",
        "enabled": True,
        "created_at": webhook["created_at"],
        "updated_at": webhook["created_at"],
    }
    path = f"/v1/webhooks/{webhook['id']}"
    assert project.http.get(path).json() == {"data": webhook}
    listed = project.http.get("/v1/webhooks").json()
    assert listed["data"] == [webhook]
    assert listed["pagination"]["total_count"] == 1
    assert secret not in project.http.patch(path, json={"enabled": False}).text


def test_fields_that_a_patch_does_not_name_are_unchanged(project: Service) -> None:
    webhook = create(project, events=["run.failed"], description="d")
    path = f"/v1/webhooks/{webhook['id']}"
    changed = project.http.patch(path, json={"events": ["run.*", "run.*"]}).json()["data"]
    assert (changed["events"], changed["description"], changed["url"]) == (["run.*"], "d", URL)
    assert changed["updated_at"] >= webhook["updated_at"]
    assert project.http.patch(path, json={}).json()["data"]["events"] == ["run.*"]
    assert project.http.delete(path).status_code == 204
    for method in ("GET", "PATCH", "DELETE"):
        response = project.http.request(method, path, json={} if method == "PATCH" else None)
        assert response.status_code == 404, method


ALLOWED = ", or its host be in WEBHOOK_ALLOWED_PRIVATE_HOSTS (as host:port)"


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("url", "http://hooks.example.com", f"must start with https://{ALLOWED}"),
        ("url", "https://127.0.0.1/", f"must resolve to a public address{ALLOWED}"),
        ("url", "https://[::1]/", f"must resolve to a public address{ALLOWED}"),
        ("url", "https://169.254.169.254/latest", f"must resolve to a public address{ALLOWED}"),
        ("url", "https://user:word@hooks.example.com", "must not contain a user name or password"),
        ("url", "https://", "must be a percent-encoded URL"),
        ("url", "HTTPS://hooks.example.com", "must start with https://"),
        ("url", "https://h.example/" + "x" * 2048, "must be at most 2048 characters long"),
        ("url", None, "must be a string"),
        ("events", [], "cannot be empty"),
        (
            "events",
            ["agent.response.delta"],
            "must contain event types or patterns, such as run.completed, run.* or *",
        ),
        ("events", "run.*", "must be a list"),
        ("enabled", "yes", "must be true or false"),
        ("secret", "whsec_AAAA", "is not a known field; known: description, enabled, events, url"),
    ],
)
def test_an_invalid_field_is_named(project: Service, field: str, value: Any, error: str) -> None:
    response = project.http.post("/v1/webhooks", json={"url": URL, field: value})
    assert response.status_code == 400, response.text
    assert response.json()["error"]["details"] == {field: error}
    # In a change, null means that the field is absent.
    if field != "secret" and value is not None:
        path = f"/v1/webhooks/{create(project)['id']}"
        response = project.http.patch(path, json={field: value})
        assert response.json()["error"]["details"] == {field: error}


def test_a_repeated_request_creates_one_endpoint(project: Service) -> None:
    headers = {"Idempotency-Key": new_id()}
    answers = [
        project.http.post("/v1/webhooks", json={"url": URL}, headers=headers) for _ in range(2)
    ]
    first, retry = (answer.json()["data"] for answer in answers)
    secrets = [first.pop("secret")]
    assert retry == first
    assert answers[1].headers["idempotency-replayed"] == "true"
    [webhook] = project.http.get("/v1/webhooks").json()["data"]

    path = f"/v1/webhooks/{webhook['id']}/rotate-secret"
    headers = {"Idempotency-Key": new_id()}
    first, retry = (project.http.post(path, headers=headers).json()["data"] for _ in range(2))
    secrets.append(first.pop("secret"))
    assert retry == first
    assert secrets[0] != secrets[1]


def test_a_project_cannot_exceed_its_limit_of_endpoints(project: Service) -> None:
    for _ in range(MAX_WEBHOOKS):
        create(project)
    response = project.http.post("/v1/webhooks", json={"url": URL})
    assert response.status_code == 409
    page = project.http.get("/v1/webhooks", params={"page": 2, "page_size": 15}).json()
    assert (len(page["data"]), page["pagination"]["page_count"]) == (MAX_WEBHOOKS - 15, 2)
    project.http.delete(f"/v1/webhooks/{page['data'][0]['id']}")
    create(project)


def test_a_ping_is_listed_as_a_delivery_and_the_list_has_pages(project: Service) -> None:
    webhook = create(project, events=["run.failed"])
    path = f"/v1/webhooks/{webhook['id']}"
    sent = [project.http.post(f"{path}/test") for _ in range(3)]
    assert [response.status_code for response in sent] == [202] * 3
    ids = [response.json()["data"]["id"] for response in sent]
    first = project.http.get(f"{path}/deliveries", params={"page_size": 2}).json()
    cursor = first["pagination"]["next_before"]
    rest = project.http.get(f"{path}/deliveries", params={"before": cursor}).json()
    assert "next_before" not in rest["pagination"]
    listed = [one["id"] for one in (*first["data"], *rest["data"])]
    assert sorted(listed, reverse=True) == listed
    assert set(listed) == set(ids)

    delivery = project.http.get(f"{path}/deliveries/{ids[0]}").json()["data"]
    assert delivery["state"] == "pending"
    assert delivery["payload"]["type"] == delivery["event_type"] == "webhook.ping"
    assert parse_id(delivery["payload"]["data"]["event_id"])
    assert project.http.get(f"{path}/deliveries/{new_id()}").status_code == 404
    assert project.http.post(f"{path}/deliveries/{new_id()}/redeliver").status_code == 404

    project.http.patch(path, json={"enabled": False})
    for route in ("test", f"deliveries/{ids[0]}/redeliver"):
        response = project.http.post(f"{path}/{route}")
        assert (response.status_code, response.json()["error"]["details"]) == (
            409,
            {"webhook": "is disabled"},
        )


@pytest.mark.parametrize(
    "query", [{"page": "2"}, {"before": "x"}, {"page_size": "0"}, {"page_size": "501"}]
)
def test_an_invalid_query_of_deliveries_is_rejected(
    project: Service, query: dict[str, str]
) -> None:
    path = f"/v1/webhooks/{create(project)['id']}/deliveries"
    response = project.http.get(path, params=query)
    assert response.status_code == 400
    assert set(response.json()["error"]["details"]) == set(query)


def test_a_foreign_endpoint_is_not_found(project: Service, service: Service) -> None:
    path = f"/v1/webhooks/{create(project)['id']}"
    requests = [
        ("GET", path),
        ("PATCH", path),
        ("DELETE", path),
        ("POST", f"{path}/test"),
        ("POST", f"{path}/rotate-secret"),
        ("GET", f"{path}/deliveries"),
    ]
    for method, url in requests:
        response = service.http.request(method, url, json={} if method == "PATCH" else None)
        assert response.status_code == 404, url
    assert project.http.get(path).status_code == 200


def test_webhooks_have_their_own_scope(stack: DevStack, stores: Stores) -> None:
    scopes: frozenset[Scope] = frozenset({"runs:read", "runs:write", "files:write"})
    key = f"ry_{new_id()}"
    stores.access_keys.save(key, project_id="p", org_id="o", scopes=scopes)
    weak = Service(stack.base_url, key)
    assert weak.http.get("/v1/webhooks").status_code == 403
    assert weak.http.post("/v1/webhooks", json={"url": URL}).status_code == 403
    weak.close()
