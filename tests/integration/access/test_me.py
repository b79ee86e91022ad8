"""Test `GET /v1/me` at both endpoints: what a key may do, and never its secret."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from runyard_dev.dev_stack import DevStack
from runyard_service.adapters.dynamodb.access_keys import DEFAULT_SCOPES
from runyard_service.adapters.stores import Stores
from runyard_service.domain.clock import timestamp_in
from runyard_service.domain.ids import new_id
from tests.support.app_server import ENDPOINTS, endpoint_client


@pytest.fixture(scope="module", params=ENDPOINTS)
def endpoint(stack: DevStack, request: pytest.FixtureRequest) -> Iterator[TestClient]:
    """Yield a client of each endpoint."""
    with endpoint_client(stack, request.param) as client:
        yield client


class Key:
    """A new key."""

    def __init__(self, stores: Stores, **terms: Any) -> None:
        self.secret = f"ry_{new_id()}"
        self.org_id = terms.setdefault("org_id", f"org-{new_id()}")
        self.project_id = terms.setdefault("project_id", f"project-{new_id()}")
        self.id = stores.access_keys.save(self.secret, **terms).id

    def me(self, client: TestClient, **headers: str) -> dict[str, Any]:
        """Return the key as the API describes it."""
        headers["Authorization"] = f"Bearer {self.secret}"
        response = client.get("/v1/me", headers=headers)
        assert response.status_code == 200, response.text
        assert self.secret not in response.text
        return response.json()["data"]  # type: ignore[no-any-return]


def stream_url(endpoint: TestClient, stack: DevStack) -> str:
    """Return the URL of the streaming endpoint. Without another, an endpoint names itself."""
    is_api = endpoint.app.state.services_factory().settings.stream_url  # type: ignore[attr-defined]
    return stack.base_url if is_api else str(endpoint.base_url)


def test_a_personal_key_is_described(endpoint: TestClient, stack: DevStack, stores: Stores) -> None:
    valid_until = timestamp_in(3600)
    key = Key(
        stores,
        **{"user_id": "ada", "user_name": "Ada", "user_email": "ada@example.com"},
        **{"agent": "greeter@1.9", "valid_until": valid_until},
        scopes=frozenset({"runs:write", "runs:read"}),
    )
    assert key.me(endpoint) == {
        "key_id": key.id,
        "user": {"id": "ada", "name": "Ada", "email": "ada@example.com"},
        "org_id": key.org_id,
        "projects": [key.project_id],
        "scopes": ["runs:read", "runs:write"],
        "agent": "greeter@1.9",
        "valid_until": valid_until,
        "stream_url": stream_url(endpoint, stack),
    }


def test_fields_without_a_value_are_omitted(
    endpoint: TestClient, stack: DevStack, stores: Stores
) -> None:
    key = Key(stores)
    assert key.me(endpoint) == {
        "key_id": key.id,
        "org_id": key.org_id,
        "projects": [key.project_id],
        "scopes": sorted(DEFAULT_SCOPES),
        "stream_url": stream_url(endpoint, stack),
    }


def test_a_key_without_scopes_can_be_read(endpoint: TestClient, stores: Stores) -> None:
    assert Key(stores, scopes=frozenset()).me(endpoint)["scopes"] == []


def test_an_organization_key_has_the_projects_of_its_organization(
    endpoint: TestClient, stores: Stores
) -> None:
    organization = Key(stores, project_id="")
    others = [Key(stores, org_id=organization.org_id) for _ in range(2)]
    Key(stores)
    projects = sorted(other.project_id for other in others)
    assert organization.me(endpoint)["projects"] == projects
    named = organization.me(endpoint, **{"X-Project-Id": projects[1]})
    assert named["projects"] == [projects[1]]


def test_the_stream_url_accepts_the_key(stack: DevStack, stores: Stores) -> None:
    key = Key(stores, agent="greeter")
    with endpoint_client(stack, "api") as client:
        url = key.me(client)["stream_url"]
    headers = {"Authorization": f"Bearer {key.secret}"}
    body = {"input": {"name": "Ada"}, "stream": True}
    streamed = httpx.post(f"{url}/v1/runs", json=body, headers=headers, timeout=30)
    assert streamed.status_code == 200
    assert "event: run.completed" in streamed.text


def test_an_unknown_parameter_is_rejected(endpoint: TestClient) -> None:
    rejected = endpoint.get("/v1/me?verbose=1")
    assert rejected.status_code == 400
    assert rejected.json()["error"]["details"] == {"verbose": "is not a known parameter"}
