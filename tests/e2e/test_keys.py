"""`/v1/keys`: an organization creates, lists and revokes its keys over HTTP."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from runyard_service.adapters.dynamodb.access_keys import ALL_SCOPES, DEFAULT_SCOPES, Scope
from runyard_service.adapters.stores import Stores
from runyard_service.domain.clock import now, parse, timestamp
from runyard_service.domain.ids import new_id
from tests.support.service import Service

PATH = "/v1/keys"
TICKET = {"ticket_subject": "Export is broken"}


class Organization:
    """An organization with a project, and clients with its keys."""

    def __init__(self, stores: Stores, base_url: str) -> None:
        self.access_keys = stores.access_keys
        self.id, self.project = f"org-{new_id()}", f"project-{new_id()}"
        self.access_keys.claim_project(self.project, self.id)
        self._base_url = base_url
        self._opened: list[httpx.Client] = []

    def client(self, secret: str, **headers: str) -> httpx.Client:
        """Return an HTTP client with this key."""
        headers["Authorization"] = f"Bearer {secret}"
        self._opened.append(httpx.Client(base_url=self._base_url, headers=headers, timeout=60))
        return self._opened[-1]

    def admin(self, **terms: Any) -> httpx.Client:
        """Return a client with a new key of the organization, by default with all scopes."""
        secret, terms = f"ry_{new_id()}", {"project_id": "", "scopes": ALL_SCOPES, **terms}
        self.access_keys.save(secret, org_id=self.id, **terms)
        return self.client(secret)

    def close(self) -> None:
        """Close every client."""
        for client in self._opened:
            client.close()


@pytest.fixture
def new_organization(own_stores: Stores, service: Service) -> Iterator[Callable[[], Organization]]:
    """Yield a function that creates organizations."""
    made: list[Organization] = []

    def create() -> Organization:
        made.append(Organization(own_stores, service.base_url))
        return made[-1]

    yield create
    for organization in made:
        organization.close()


@pytest.fixture
def organization(new_organization: Callable[[], Organization]) -> Organization:
    """Return an organization."""
    return new_organization()


def created(client: httpx.Client, body: Any = None, **headers: str) -> dict[str, Any]:
    response = client.post(PATH, json=body or {}, headers=headers)
    assert response.status_code == 201, response.text
    return response.json()["data"]  # type: ignore[no-any-return]


def rejected(response: httpx.Response, status: int) -> dict[str, str]:
    assert response.status_code == status, response.text
    return response.json()["error"].get("details", {})  # type: ignore[no-any-return]


def listed(client: httpx.Client, **query: Any) -> list[dict[str, Any]]:
    response = client.get(PATH, params=query)
    assert response.status_code == 200, response.text
    return response.json()["data"]  # type: ignore[no-any-return]


def test_a_created_key_works_at_once_and_its_secret_is_returned_only_once(
    organization: Organization,
) -> None:
    admin = organization.admin()
    body = {
        "project_id": organization.project,
        "scopes": ["runs:read", "runs:write", "runs:read"],
        "agent": "support_triage",
        "user_id": "anna",
        "user_name": "Anna Bäcker",
        "user_email": "anna@example.com",
        "days": 30,
    }
    key = created(admin, body)
    secret = key.pop("secret")
    assert key["id"].startswith("key_")
    assert {name: key[name] for name in ("project_id", "agent", "user_id", "user_name")} == {
        name: body[name] for name in ("project_id", "agent", "user_id", "user_name")
    }
    assert (key["org_id"], key["scopes"]) == (organization.id, ["runs:read", "runs:write"])
    days_left = parse(key["valid_until"]) - now()
    assert timedelta(days=29) < days_left <= timedelta(days=30)
    assert "revoked_at" not in key

    run = organization.client(secret).post("/v1/runs", json={"input": TICKET}).json()["data"]
    assert run["status"] == "completed"
    assert {**listed(admin)[-1], "last_used_at": ""} == {**key, "last_used_at": ""}
    assert secret not in admin.get(PATH).text


def test_a_key_without_fields_has_the_rights_of_its_creator_but_creates_no_keys(
    organization: Organization,
) -> None:
    key = created(organization.admin())
    assert set(key["scopes"]) == DEFAULT_SCOPES
    assert not key.keys() & {"project_id", "agent", "user_id", "valid_until"}
    details = rejected(organization.client(key["secret"]).get(PATH), 403)
    assert details == {"scope": "the access key must have keys:write"}


def test_a_second_administrator_can_be_created(organization: Organization) -> None:
    key = created(organization.admin(), {"scopes": ["keys:write", "runs:read"]})
    other = organization.client(key["secret"])
    assert [found["id"] for found in listed(other)][-1] == key["id"]
    assert created(other, {"scopes": ["runs:read"]})["scopes"] == ["runs:read"]
    details = rejected(other.post(PATH, json={"scopes": ["runs:write", "files:write"]}), 403)
    assert details == {"scopes": "the access key itself must have files:write, runs:write"}


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_the_key_of_a_project_cannot_manage_keys(organization: Organization, method: str) -> None:
    client = organization.admin(project_id=organization.project)
    path = f"{PATH}/key_000000000000" if method == "DELETE" else PATH
    details = rejected(client.request(method, path, json={}), 403)
    assert details == {"key": "must be the key of an organization, not of a project"}


def test_a_key_cannot_create_a_key_with_more_rights(organization: Organization) -> None:
    scopes: frozenset[Scope] = frozenset({"keys:write", "webhooks:write"})
    ends = timestamp(now() + timedelta(days=2, hours=1))
    admin = organization.admin(scopes=scopes, agent="talker", valid_until=ends)
    body = {"scopes": ["runs:write", "webhooks:read"], "agent": "assistant", "days": 3}
    assert rejected(admin.post(PATH, json=body), 403) == {
        "scopes": "the access key itself must have runs:write",
        "agent": "must be talker, the agent of the access key",
        "days": f"must be at most 2: the access key itself ends at {ends}. Leave days out for a key"
        " that ends at the same time",
    }
    key = created(admin, {"scopes": ["webhooks:read"], "days": 2})
    assert key["agent"] == "talker"
    assert key["valid_until"] < ends
    assert created(admin)["valid_until"] == ends


def test_a_key_is_only_for_projects_of_the_organization(
    organization: Organization, new_organization: Callable[[], Organization]
) -> None:
    other = new_organization()
    admin = organization.admin()
    for project in (other.project, f"project-{new_id()}"):
        details = rejected(admin.post(PATH, json={"project_id": project}), 400)
        assert details == {"project_id": "is not a project of this organization"}
    body = {"project_id": organization.project, "scopes": ["keys:write"]}
    assert "scopes" in rejected(admin.post(PATH, json=body), 400)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"scopes": []}, "scopes"),
        ({"scopes": ["runs:everything"]}, "scopes.0"),
        ({"days": 0}, "days"),
        ({"days": 36_501}, "days"),
        ({"user_id": " anna"}, "user_id"),
        ({"user_id": ""}, "user_id"),
        ({"agent": "unknown_agent"}, "agent"),
        ({"org_id": "other"}, "org_id"),
    ],
)
def test_an_invalid_key_is_rejected(organization: Organization, body: Any, field: str) -> None:
    assert rejected(organization.admin().post(PATH, json=body), 400).keys() == {field}


def test_the_project_header_limits_the_keys(organization: Organization) -> None:
    admin = organization.admin()
    created(admin)
    in_project = {"X-Project-Id": organization.project}
    key = created(admin, {}, **in_project)
    assert key["project_id"] == organization.project
    listing = admin.get(PATH, headers=in_project).json()
    assert [found["id"] for found in listing["data"]] == [key["id"]]
    assert listing["pagination"]["total_count"] == 1
    response = admin.post(PATH, json={"project_id": "other"}, headers=in_project)
    assert rejected(response, 400) == {"project_id": "must be the project in X-Project-Id"}
    for_all = listed(admin)[0]["id"]
    assert admin.delete(f"{PATH}/{for_all}", headers=in_project).status_code == 404
    assert admin.delete(f"{PATH}/{key['id']}", headers=in_project).status_code == 200


def test_a_retry_of_a_create_returns_the_key_without_its_secret(
    organization: Organization,
) -> None:
    admin, name = organization.admin(), {"Idempotency-Key": new_id()}
    body = {"user_id": "anna", "days": 3}
    first = created(admin, body, **name)
    again = admin.post(PATH, json=body, headers=name)
    assert again.headers["idempotency-replayed"] == "true"
    secret = first.pop("secret")
    assert again.json()["data"] == first
    assert secret not in again.text
    assert len(listed(admin)) == 2
    assert "Idempotency-Key" in rejected(admin.post(PATH, json={}, headers=name), 409)


def test_organizations_and_projects_do_not_share_idempotency_keys(
    organization: Organization, new_organization: Callable[[], Organization]
) -> None:
    name = {"Idempotency-Key": new_id()}
    other = new_organization()
    mine, theirs = created(organization.admin(), **name), created(other.admin(), **name)
    assert mine["id"] != theirs["id"]
    in_project = {"X-Project-Id": organization.project}
    assert created(organization.admin(), **name, **in_project)["id"] != mine["id"]


def test_a_revoked_key_stays_in_the_list_and_can_revoke_itself(
    organization: Organization,
) -> None:
    admin = organization.admin()
    key = created(admin, {"scopes": ["keys:write"]})
    client = organization.client(key["secret"])
    assert client.get(PATH).status_code == 200
    revoked = client.delete(f"{PATH}/{key['id']}").json()["data"]
    assert revoked["revoked_at"] <= timestamp()
    assert client.get(PATH).status_code == 401
    assert admin.delete(f"{PATH}/{key['id']}").json()["data"]["revoked_at"] == revoked["revoked_at"]
    assert [found.get("revoked_at") for found in listed(admin)] == [None, revoked["revoked_at"]]


def test_a_key_of_another_organization_does_not_exist_here(
    organization: Organization, new_organization: Callable[[], Organization]
) -> None:
    other = new_organization()
    foreign = created(other.admin())
    admin = organization.admin()
    assert foreign["id"] not in [found["id"] for found in listed(admin)]
    for key_id in (foreign["id"], "key_000000000000", "key_", "nonsense"):
        assert rejected(admin.delete(f"{PATH}/{key_id}"), 404) == {}
    assert other.client(foreign["secret"]).get("/v1/runs").status_code == 400


def test_the_list_has_pages(organization: Organization) -> None:
    admin = organization.admin()
    made = [created(admin)["id"] for _ in range(3)]
    assert [found["id"] for found in listed(admin, page=2, page_size=2)] == made[1:]
    assert listed(admin, page=9) == []
    assert rejected(admin.get(f"{PATH}?sort=id"), 400).keys() == {"sort"}
