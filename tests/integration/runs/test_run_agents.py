"""Test which agent a run uses, at both endpoints, and how responses name it."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from runyard_dev.dev_stack import DevStack
from runyard_service.adapters.stores import Stores
from runyard_service.domain.ids import new_id
from tests.support.app_server import ENDPOINTS, endpoint_client
from tests.support.threads_service import ThreadsService, assert_rejected

TICKET = {"ticket_subject": "Export is broken"}


@pytest.fixture(scope="module", params=ENDPOINTS)
def endpoint(stack: DevStack, request: pytest.FixtureRequest) -> Iterator[TestClient]:
    """Yield a client of each endpoint."""
    with endpoint_client(stack, request.param) as client:
        yield client


@pytest.fixture
def keys(stores: Stores) -> Any:
    """Return a function that creates a key, and returns its header."""

    def create(**terms: Any) -> dict[str, str]:
        secret = f"ry_{new_id()}"
        stores.access_keys.save(secret, project_id=secret, org_id=secret, **terms)
        return {"Authorization": f"Bearer {secret}"}

    return create


def create(client: TestClient, headers: dict[str, str] | None = None, **fields: Any) -> Any:
    body = {"input": TICKET, "background": True, **fields}
    return client.post("/v1/runs", json=body, headers=headers)


def agent_of(stores: Stores, response: Any) -> str:
    assert response.status_code == 202, response.text
    run = stores.runs.get(response.json()["data"]["id"])
    assert run is not None
    return run.agent


def details_of(response: Any, status: int) -> dict[str, str]:
    assert response.status_code == status, response.text
    return response.json()["error"]["details"]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        ({}, "support_triage@1"),
        ({"agent": None}, "support_triage@1"),
        ({"agent": "greeter"}, "greeter@1.10"),
        ({"agent": "greeter@1.9"}, "greeter@1.9"),
    ],
    ids=["absent", "null", "newest version", "one version"],
)
def test_a_create_can_name_its_agent(
    endpoint: TestClient, stores: Stores, agent: dict[str, Any], expected: str
) -> None:
    assert agent_of(stores, create(endpoint, **agent)) == expected


def test_a_form_can_name_its_agent(endpoint: TestClient, stores: Stores) -> None:
    texts = {"input": json.dumps(TICKET), "background": "true"}
    for agent, expected in (("greeter@1.9", "greeter@1.9"), ("", "support_triage@1")):
        parts = {name: (None, text) for name, text in {**texts, "agent": agent}.items()}
        assert agent_of(stores, endpoint.post("/v1/runs", files=parts)) == expected


def test_a_streamed_create_can_name_its_agent(endpoint: TestClient, stores: Stores) -> None:
    body = {"input": {"name": "Ada"}, "agent": "greeter@1.9", "stream": True}
    response = endpoint.post("/v1/runs", json=body)
    text = response.text
    if response.status_code == 303:
        text = httpx.get(response.headers["location"], timeout=30).text
    assert "event: run.completed" in text
    run = stores.runs.get(response.headers["x-run-id"])
    assert run is not None
    assert run.agent == "greeter@1.9"


def test_the_input_must_fit_the_named_agent(endpoint: TestClient) -> None:
    rejected = create(endpoint, input={"name": "Ada"}, agent="support_triage")
    assert "input.ticket_subject" in details_of(rejected, 400)


@pytest.mark.parametrize("mode", ["background", "stream", "neither"])
def test_an_unknown_agent_is_rejected_with_the_known_names(
    endpoint: TestClient, stores: Stores, mode: str
) -> None:
    mode_fields: dict[str, Any] = {"background": mode == "background", "stream": mode == "stream"}
    user_id = f"user-{new_id()}"
    unknown = details_of(create(endpoint, agent="greter", user_id=user_id, **mode_fields), 400)
    assert unknown["agent"].startswith("agent 'greter' does not exist; known: asker, assistant, ")
    assert unknown["agent"].endswith("; did you mean 'greeter'?")
    for name in ("greeter@2", "greeter@"):
        details = details_of(create(endpoint, agent=name, user_id=user_id, **mode_fields), 400)
        expected = f"agent {name!r} does not exist; known: greeter@1.10, greeter@1.9; did you mean"
        assert details["agent"].startswith(expected)
    listed = endpoint.get("/v1/runs", params={"user_id": user_id}).json()
    assert listed["data"] == []


@pytest.mark.parametrize(
    ("agent", "issue"),
    [("", "cannot be blank"), (1, "must be a string"), ("x" * 257, "must be at most 256 ")],
)
def test_an_invalid_agent_is_rejected(endpoint: TestClient, agent: Any, issue: str) -> None:
    assert details_of(create(endpoint, agent=agent), 400)["agent"].startswith(issue)


@pytest.mark.parametrize(
    ("own", "requested", "expected"),
    [
        ("greeter", None, "greeter@1.10"),
        ("greeter", "greeter", "greeter@1.10"),
        ("greeter", "greeter@1.9", "greeter@1.9"),
        ("greeter@1.9", None, "greeter@1.9"),
        ("greeter@1.9", "greeter@1.9", "greeter@1.9"),
        ("greeter@1.9", "greeter", None),
        ("greeter@1.9", "greeter@1.10", None),
        ("greeter", "talker", None),
        ("greeter", "no_such_agent", None),
    ],
)
def test_the_agent_of_a_key_binds(
    endpoint: TestClient,
    stores: Stores,
    keys: Any,
    own: str,
    requested: str | None,
    expected: str | None,
) -> None:
    response = create(endpoint, keys(agent=own), agent=requested)
    if expected:
        assert agent_of(stores, response) == expected
        return
    # It names the key's own agent and no other one.
    assert details_of(response, 403) == {"agent": f"must be {own}, the agent of the access key"}


def test_a_key_with_an_agent_gets_no_other_names(
    endpoint: TestClient, stack: DevStack, keys: Any
) -> None:
    for own, requested in (("greeter", "greeter@2"), ("removed", "removed@1")):
        headers = keys(agent=own)
        details = details_of(create(endpoint, headers, agent=requested), 400)
        assert "talker" not in details["agent"]
        with ThreadsService(stack.base_url, headers["Authorization"].split()[1]) as threads:
            path = f"/threads/{threads.thread('Hello')}/runs"
            rejected = threads.http.post(path, json={"persona_id": requested})
            issue = assert_rejected(rejected, 422, "validation.error")["persona_id"]
            assert issue == details["agent"].replace("agent", "persona", 1)


def test_an_unknown_persona_is_rejected_with_the_known_names(stack: DevStack) -> None:
    with ThreadsService(stack.base_url, stack.access_key) as threads:
        path = f"/threads/{threads.thread('Hello')}/runs"
        rejected = threads.http.post(path, json={"persona_id": "greter"})
    issue = assert_rejected(rejected, 422, "validation.error")["persona_id"]
    assert issue.startswith("persona 'greter' does not exist; known: asker, assistant, ")


def test_the_agent_is_part_of_the_request_that_an_idempotency_key_names(
    endpoint: TestClient, stores: Stores
) -> None:
    headers = {"Idempotency-Key": new_id()}
    first = create(endpoint, headers, agent="greeter@1.9")
    again = create(endpoint, headers, agent="greeter@1.9")
    assert agent_of(stores, again) == "greeter@1.9"
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == first.json()
    for other in ("greeter@1.10", "greeter", None):
        details = details_of(create(endpoint, headers, agent=other), 409)
        assert details == {"Idempotency-Key": "was used with another request"}


# --- the fields of a run ---


def test_each_response_with_a_run_names_agent_model_and_author(
    endpoint: TestClient, keys: Any
) -> None:
    headers = keys(user_id="u-1", user_name="Ada", user_email="ada@example.com")
    author = {"id": "u-1", "name": "Ada", "email": "ada@example.com"}
    created = create(endpoint, headers, agent="greeter@1.9").json()["data"]
    synchronous = create(endpoint, headers, agent="greeter@1.9", background=False).json()["data"]
    path = f"/v1/runs/{created['id']}"
    listed = endpoint.get("/v1/runs", headers=headers).json()["data"]
    exported = exported_run(endpoint, path, headers)
    for run in (created, synchronous, endpoint.get(path, headers=headers).json()["data"], exported):
        assert (run["agent"], run["model"]) == ("greeter@1.9", "greeter")
        assert run["created_by"] == author
        assert "thread_id" not in run
    assert len(listed) == 2
    assert all(run["agent"] == "greeter@1.9" and run["created_by"] == author for run in listed)


def exported_run(endpoint: TestClient, path: str, headers: dict[str, str]) -> dict[str, Any]:
    response: Any = endpoint.get(f"{path}/export", headers=headers)
    if response.status_code == 303:
        response = httpx.get(response.headers["location"], timeout=30)
    return json.loads(response.text.splitlines()[0])["data"]  # type: ignore[no-any-return]


def test_the_author_without_a_person_is_the_key(endpoint: TestClient, stores: Stores) -> None:
    key = stores.access_keys.find(endpoint.headers["authorization"].split()[1])
    assert key is not None
    assert create(endpoint).json()["data"]["created_by"] == {"id": key.id}


def test_a_run_of_a_thread_names_its_thread(endpoint: TestClient, stack: DevStack) -> None:
    with ThreadsService(stack.base_url, stack.access_key) as threads:
        thread_id = threads.thread("Hello")
        run_id = threads.start(thread_id)
        threads.wait(run_id)
        row = threads.get("/runs", limit=1)[0]
        whole = threads.run(run_id)
    run = endpoint.get(f"/v1/runs/{run_id}").json()["data"]
    assert (run["thread_id"], run["agent"], run["model"]) == (thread_id, "talker@1", "talker")
    # The other API has the same values under its own names.
    for other in (row, whole):
        values = [other[name] for name in ("run_id", "persona_id", "model", "thread_id")]
        assert values == [run_id, run["agent"], run["model"], run["thread_id"]]
    assert run["created_by"]["id"] == row["created_by_user_id"]


def test_a_run_on_a_fallback_route_names_the_model_in_use(
    endpoint: TestClient, stores: Stores
) -> None:
    run = stores.runs.get(create(endpoint, agent="greeter").json()["data"]["id"])
    assert run is not None
    switched = run.model_copy(update={"id": new_id(), "fallback_model": "other"})
    stores.runs.create(switched)
    assert endpoint.get(f"/v1/runs/{switched.id}").json()["data"]["model"] == "other"
