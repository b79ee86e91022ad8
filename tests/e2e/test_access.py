"""Access control: every route without a key, without a scope, and with a foreign key."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute, iter_route_contexts

from runyard_service.adapters.dynamodb.access_keys import ALL_SCOPES, AccessKeys, Scope
from runyard_service.adapters.stores import Stores
from runyard_service.container import container
from runyard_service.domain.clock import now, timestamp
from runyard_service.domain.ids import new_id
from tests.support.service import Service
from tests.support.threads_service import BASE_PATH, ThreadsService

TICKET = {"ticket_subject": "Export is broken"}

# Every route that is not in this list requires a key.
PUBLIC = {"/v1/health"}


def _routes() -> Iterator[tuple[str, str]]:
    for route in iter_route_contexts(container().create_app().routes):
        if isinstance(route.original_route, APIRoute) and route.path not in PUBLIC:
            for method in sorted(route.methods or ()):
                # Without the convertor of the router (`{run_id:id}`).
                yield method, re.sub(r":\w+}", "}", str(route.path))


ROUTES = sorted(_routes())
OF_ONE_THING = [
    (method, path) for method, path in ROUTES if "{" in path and path != "/v1/agents/{name}"
]
# The routes of keys are about an organization: see test_keys.py.
OF_PROJECTS = [(method, path) for method, path in ROUTES if not path.startswith("/v1/keys")]
LISTS = [
    (method, path)
    for method, path in OF_PROJECTS
    if "{" not in path and method == "GET" and path != "/v1/me"
]
# Routes of the Runs API that are not about a project.
WITHOUT_PROJECT = {("GET", path) for path in ("/v1/me", "/v1/agents", "/v1/agents/{name}")}
# Every valid key can read these, also one without scopes.
WITHOUT_SCOPE = {("GET", "/v1/me")}
SCOPED = [route for route in ROUTES if route not in WITHOUT_SCOPE]
# Lists with the same content for every project.
CATALOGS = {"/v1/agents", f"{BASE_PATH}/personas", f"{BASE_PATH}/routes"}
# Bodies of routes that otherwise report a missing body first.
BODIES = {
    ("PATCH", f"{BASE_PATH}/threads/{{thread_id}}"): {"title": "Mine"},
    ("POST", f"{BASE_PATH}/threads/{{thread_id}}/messages"): {"content": "Hello"},
    ("POST", f"{BASE_PATH}/runs/{{run_id}}/input"): {"content": "yes"},
}


def needs_project(method: str, path: str) -> bool:
    """Return True if the route needs a project.

    The Threads API reads from a whole organization; only creation needs a project. Some routes of
    the Runs API are not about a project.
    """
    if (method, path) in WITHOUT_PROJECT:
        return False
    return not path.startswith(BASE_PATH) or (method, path) == ("POST", f"{BASE_PATH}/threads")


class Keys:
    """Creates new keys, which no process has in its cache."""

    def __init__(self, access_keys: AccessKeys, base_url: str) -> None:
        self.access_keys = access_keys
        self._base_url = base_url
        self._opened: list[httpx.Client] = []

    def client(self, secret: str, **headers: str) -> httpx.Client:
        """Return an HTTP client with this key."""
        headers["Authorization"] = f"Bearer {secret}"
        self._opened.append(httpx.Client(base_url=self._base_url, headers=headers, timeout=60))
        return self._opened[-1]

    def secret(self, *, org_id: str = "", project_id: str | None = None, **terms: Any) -> str:
        """Return a new key; by default of a new project and a new organization."""
        secret = f"ry_{new_id()}"
        project_id = f"project-{new_id()}" if project_id is None else project_id
        org_id = org_id or f"org-{new_id()}"
        self.access_keys.save(secret, org_id=org_id, project_id=project_id, **terms)
        return secret

    def fresh(self, **terms: Any) -> httpx.Client:
        """Return an HTTP client with a new key."""
        return self.client(self.secret(**terms))

    def close(self) -> None:
        """Close every client."""
        for client in self._opened:
            client.close()


@pytest.fixture(scope="module")
def keys(own_stores: Stores, service: Service) -> Iterator[Keys]:
    created = Keys(own_stores.access_keys, service.base_url)
    yield created
    created.close()


@pytest.fixture(scope="module")
def resources(service: Service) -> dict[str, str]:
    """Create a resource for each path parameter, in the project of the service's key."""
    with ThreadsService(service.base_url, service.access_key) as threads:
        thread_id = threads.thread("Hello")
    return {
        "run_id": service.create({"ticket_subject": "Help!"})["id"],
        "name": "support_triage",
        "thread_id": thread_id,
        **_webhook_and_delivery(service),
        "key_id": "key_000000000000",
    }


def _webhook_and_delivery(service: Service) -> dict[str, str]:
    # Generated requests may have created the maximum number of webhooks of the project.
    for webhook in service.http.get("/v1/webhooks").json()["data"]:
        service.http.delete(f"/v1/webhooks/{webhook['id']}")
    response = service.http.post("/v1/webhooks", json={"url": "https://hooks.example.com/"})
    webhook_id = response.json()["data"]["id"]
    ping = service.http.post(f"/v1/webhooks/{webhook_id}/test").json()["data"]
    return {"webhook_id": webhook_id, "delivery_id": ping["id"]}


def fill(path: str, resources: dict[str, str]) -> str:
    missing = set(re.findall(r"{(\w+)}", path)) - set(resources)
    assert not missing, f"`resources` has no {missing}, so {path} is not tested"
    return path.format(**resources)


# The status and the code of each error in the Runs API and in the Threads API.
EXPECTED_ERRORS = {
    "no key": ((401, "unauthorized"), (401, "auth.missing_token")),
    "bad key": ((401, "unauthorized"), (401, "auth.invalid_token")),
    "no scope": ((403, "forbidden"), (403, "auth.forbidden")),
    "no project": ((400, "bad_request"), (422, "validation.error")),
    "unknown project": ((404, "not_found"), (404, "projects.not_found")),
}


def is_of_threads(path: str) -> bool:
    return path.startswith(BASE_PATH)


def expected_error(reason: str, path: str) -> tuple[int, str]:
    return EXPECTED_ERRORS[reason][is_of_threads(path)]


def error_of(response: httpx.Response) -> tuple[int, str]:
    body = response.json()
    return response.status_code, body.get("error", body)["code"]


def details_of(response: httpx.Response) -> dict[str, str]:
    body = response.json()
    return body.get("error", body)["details"]  # type: ignore[no-any-return]


def test_the_list_of_routes_is_complete() -> None:
    assert ("POST", "/v1/runs") in ROUTES
    assert ("GET", "/v1/runs/{run_id}/stream") in OF_ONE_THING


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("header", [None, "Bearer ry_nonsense"])
def test_a_request_without_a_key_is_rejected(
    service: Service, resources: dict[str, str], method: str, path: str, header: str | None
) -> None:
    headers = {"Authorization": header} if header else {}
    response = httpx.request(method, service.base_url + fill(path, resources), headers=headers)
    assert error_of(response) == expected_error("bad key" if header else "no key", path)
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_an_expired_key_is_rejected(
    keys: Keys, resources: dict[str, str], method: str, path: str
) -> None:
    expired = keys.fresh(valid_until=timestamp(now() - timedelta(seconds=1)))
    secret = keys.secret()
    (revoked,) = [key for key in [keys.access_keys.find(secret)] if key]
    keys.access_keys.revoke(revoked.id)
    for client in (expired, keys.client(secret)):
        response = client.request(method, fill(path, resources))
        assert error_of(response) == expected_error("bad key", path)


@pytest.mark.parametrize(("method", "path"), SCOPED)
def test_a_key_without_the_scope_is_rejected(
    keys: Keys, resources: dict[str, str], method: str, path: str
) -> None:
    response = keys.fresh(scopes=frozenset()).request(method, fill(path, resources))
    assert error_of(response) == expected_error("no scope", path)
    area = "webhooks" if "/webhooks" in path else "files" if path == "/v1/files" else "runs"
    right = "read" if method == "GET" or path.endswith("/ticket") else "write"
    if path.startswith("/v1/keys"):
        area, right = "keys", "write"
    assert details_of(response) == {"scope": f"the access key must have {area}:{right}"}


@pytest.mark.parametrize(("method", "path"), SCOPED)
def test_read_and_write_are_different_scopes(
    keys: Keys, resources: dict[str, str], method: str, path: str
) -> None:
    read: Scope = "runs:read"
    other: frozenset[Scope] = (
        frozenset({"runs:write", "files:write"})
        if method == "GET" or path.endswith("/ticket")
        else frozenset({read})
    )
    response = keys.fresh(scopes=other).request(method, fill(path, resources))
    assert error_of(response) == expected_error("no scope", path)


def test_webhooks_can_be_read_without_the_scope_to_change_them(keys: Keys) -> None:
    for scope in ("webhooks:read", "webhooks:write"):
        assert keys.fresh(scopes=frozenset({scope})).get("/v1/webhooks").status_code == 200


def test_a_create_with_files_needs_the_scope_for_files(keys: Keys) -> None:
    client = keys.fresh(scopes=frozenset({"runs:write"}))
    texts = {"input": json.dumps(TICKET), "background": "true"}
    parts = {name: (None, text) for name, text in texts.items()}
    assert client.post("/v1/runs", files=parts).status_code == 202
    rejected = client.post("/v1/runs", files={**parts, "files": ("a.txt", b"words")})
    assert error_of(rejected) == (403, "forbidden")
    assert details_of(rejected) == {"scope": "the access key must have files:write"}


@pytest.mark.parametrize(
    ("agent", "persona", "status"),
    [
        ("talker", "talker", 201),
        ("talker", "talker@1", 201),
        ("talker", None, 201),
        ("talker@1", "talker@1", 201),
        ("talker@1", "talker", 403),
        ("talker", "assistant", 403),
        (None, "talker", 201),
    ],
)
def test_a_key_with_an_agent_starts_runs_of_this_agent_only(
    keys: Keys, agent: str | None, persona: str | None, status: int
) -> None:
    client = keys.fresh(agent=agent)
    thread_id = client.post("/threads/v1/threads").json()["id"]
    path = f"/threads/v1/threads/{thread_id}"
    client.post(f"{path}/messages", json={"content": "Hello"})
    response = client.post(f"{path}/runs", json={"persona_id": persona})
    assert response.status_code == status, response.text
    if status == 403:
        assert error_of(response) == (403, "auth.forbidden")
        issue = f"must be {agent}, the agent of the access key"
        assert details_of(response) == {"persona_id": issue}


@pytest.mark.parametrize(
    ("method", "path"), [route for route in OF_ONE_THING if route in OF_PROJECTS]
)
def test_a_foreign_key_gets_no_information_about_a_resource(
    service: Service, keys: Keys, resources: dict[str, str], method: str, path: str
) -> None:
    body = BODIES.get((method, path), {})
    response = keys.fresh().request(method, fill(path, resources), json=body)
    missing = keys.fresh().request(method, fill(path, {n: new_id() for n in resources}), json=body)
    if is_of_threads(path):
        kind = "threads" if "{thread_id}" in path else "runs"
        assert error_of(response) == (404, f"{kind}.not_found")
    else:
        assert error_of(response) == (404, "not_found")
    # The bodies are equal too, except the id of the response.
    assert {**response.json(), "trace_id": ""} == {**missing.json(), "trace_id": ""}
    assert service.run(resources["run_id"])["status"] == "awaiting_input"


@pytest.mark.parametrize(("method", "path"), LISTS)
def test_lists_are_empty_for_a_foreign_key(
    keys: Keys, resources: dict[str, str], method: str, path: str
) -> None:
    response = keys.fresh().request(method, path)
    assert response.status_code == 200
    if path in CATALOGS:
        assert response.json()
    elif is_of_threads(path):
        assert response.json() == []
    else:
        assert response.json()["data"] == []
        if path != "/v1/usage":  # It has no pages.
            assert response.json()["pagination"]["total_count"] == 0


def test_an_organization_key_acts_as_a_project_key_for_the_project_that_it_names(
    keys: Keys,
) -> None:
    org = f"org-{new_id()}"
    first, second = (f"project-{new_id()}" for _ in range(2))
    mine = keys.fresh(org_id=org, project_id=first)
    keys.secret(org_id=org, project_id=second)
    organizations = keys.secret(org_id=org, project_id="")

    run = mine.post("/v1/runs", json={"input": TICKET}).json()["data"]
    path = f"/v1/runs/{run['id']}"
    named = keys.client(organizations, **{"X-Project-Id": first})
    assert named.get(path).json()["data"] == run
    assert keys.client(organizations, **{"X-Project-Id": second}).get(path).status_code == 404
    theirs = named.post("/v1/runs", json={"input": TICKET}).json()["data"]
    assert mine.get(f"/v1/runs/{theirs['id']}").status_code == 200


@pytest.mark.parametrize(
    ("method", "path"), [route for route in OF_PROJECTS if needs_project(*route)]
)
def test_an_organization_key_must_name_a_project(
    keys: Keys, resources: dict[str, str], method: str, path: str
) -> None:
    response = keys.fresh(project_id="").request(method, fill(path, resources))
    assert error_of(response) == expected_error("no project", path)
    assert details_of(response) == {"X-Project-Id": "is required with an organization key"}


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_an_organization_key_may_only_name_its_own_projects(
    keys: Keys, resources: dict[str, str], method: str, path: str
) -> None:
    secret = keys.secret(project_id="", scopes=ALL_SCOPES)
    target = fill(path, resources)
    # The project of the service's key, an unknown project, an invalid project.
    for project in ("dev", f"project-{new_id()}", "p" * 3000):
        response = keys.client(secret, **{"X-Project-Id": project}).request(method, target)
        assert error_of(response) == expected_error("unknown project", path)
        assert details_of(response) == {"X-Project-Id": "is not a project of this organization"}


def test_a_project_key_may_only_name_its_own_project(keys: Keys) -> None:
    project = f"project-{new_id()}"
    secret = keys.secret(project_id=project)
    body = {"input": TICKET, "background": True}
    same = keys.client(secret, **{"X-Project-Id": project})
    assert same.post("/v1/runs", json=body).status_code == 202
    other = keys.client(secret, **{"X-Project-Id": "dev"}).post("/v1/runs", json=body)
    assert error_of(other) == (400, "bad_request")
    assert other.json()["error"]["details"] == {
        "X-Project-Id": "must be the project of the access key"
    }
