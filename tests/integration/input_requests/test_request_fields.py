"""Test what an input request says about its run, and who answered first, in both APIs."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from runyard_dev.dev_stack import DevStack
from runyard_service.adapters.stores import Stores
from runyard_service.domain.clock import parse
from runyard_service.domain.ids import new_id
from tests.support.app_server import ENDPOINTS, endpoint_client
from tests.support.service import Service
from tests.support.threads_service import BASE_PATH, assert_rejected

NO_PERSON: dict[str, str] = {}


@pytest.fixture(scope="module", params=ENDPOINTS)
def endpoint(stack: DevStack, request: pytest.FixtureRequest) -> Iterator[TestClient]:
    """Yield a client of each endpoint."""
    with endpoint_client(stack, request.param) as client:
        yield client


class People:
    """A project with keys of several persons."""

    def __init__(self, base_url: str, stores: Stores) -> None:
        self._base_url = base_url
        self._stores = stores
        self._project = f"people-{new_id()}"
        self._opened: list[Service] = []

    def key(self, **person: str) -> Service:
        """Return the service for a new key of this person, or without one."""
        secret = f"ry_{new_id()}"
        names: dict[str, Any] = {"project_id": self._project, "org_id": self._project, **person}
        self._stores.access_keys.save(secret, agent="people", **names)
        self._opened.append(Service(self._base_url, secret))
        return self._opened[-1]

    def id_of(self, service: Service) -> str:
        """Return the id of the key."""
        key = self._stores.access_keys.find(service.access_key)
        assert key is not None
        return key.id

    def close(self) -> None:
        """Close every client."""
        for service in self._opened:
            service.close()


@pytest.fixture
def people(stack: DevStack, stores: Stores) -> Iterator[People]:
    """Yield a new project."""
    created = People(stack.base_url, stores)
    yield created
    created.close()


def views_of(endpoint: TestClient, service: Service, run_id: str) -> list[dict[str, Any]]:
    """Return the open input request of the run, as each route of the endpoint returns it."""
    headers = {"Authorization": f"Bearer {service.access_key}"}
    run, runs, inbox = (
        endpoint.get(path, headers=headers).json()["data"]
        for path in (f"/v1/runs/{run_id}", "/v1/runs", "/v1/input-requests")
    )
    (listed,) = [one for one in runs if one["id"] == run_id]
    (waiting,) = [one for one in inbox if one["run_id"] == run_id]
    del waiting["run_id"]
    return [*run["input_requests"], *listed["input_requests"], waiting]


@pytest.mark.parametrize(
    ("case", "tool", "schema"),
    [
        (
            "charge",
            {"name": "charge", "type": "http-api-call", "effect": "unsafe"},
            {"type": "object", "properties": {"amount": {"type": "number", "maximum": 100}}},
        ),
        ("address", {"name": "ask_address", "type": "human-feedback", "effect": "none"}, None),
        ("own form", {"name": "ask_human", "type": "human-feedback", "effect": "none"}, None),
    ],
)
def test_an_input_request_names_its_agent_tool_user_and_time(
    endpoint: TestClient,
    people: People,
    case: str,
    tool: dict[str, str],
    schema: dict[str, Any] | None,
) -> None:
    service = people.key()
    run = service.create({"case": case}, user_id="customer-7421")
    requested = next(
        event
        for event in service.events(run["id"])
        if event["type"] in ("approval_request.created", "agent.human_feedback.requested")
    )
    requests = views_of(endpoint, service, run["id"])
    assert requests[0] == requests[1] == requests[2] == run["input_requests"][0]
    request = requests[0]
    assert (request["agent"], request["user_id"]) == ("people@1", "customer-7421")
    assert request["tool"] == tool
    assert request.get("params_schema") == schema
    age = parse(requested["timestamp"]) - parse(request["created_at"])
    assert 0 <= age.total_seconds() < 5
    if case == "charge":
        assert requested["data"]["tool"] == tool


def test_a_request_without_a_user_has_no_user_id(people: People) -> None:
    (request,) = people.key().create({"case": "address"})["input_requests"]
    assert "user_id" not in request


def answer_body(run: dict[str, Any], feedback: object) -> dict[str, Any]:
    data = {"request_id": run["input_requests"][0]["id"], "feedback": feedback}
    return {"type": "human_feedback", "data": data}


@pytest.mark.parametrize("person", [{"user_id": "ada", "user_name": "Ada"}, NO_PERSON])
def test_the_second_answer_gets_who_was_first_and_when(
    people: People, person: dict[str, str]
) -> None:
    first, second = people.key(**person), people.key(user_id="bob")
    run = first.create({"case": "address"})
    assert first.answer(run, feedback={"city": "Bremen"}).status_code == 200
    received = next(
        event
        for event in first.events(run["id"])
        if event["type"] == "agent.human_feedback.received"
    )
    by = person.get("user_id", people.id_of(first))
    assert received["data"]["answered_by"] == by

    rejected = second.answer(run, feedback={"city": "Kiel"})
    assert rejected.status_code == 409
    details = rejected.json()["error"]["details"]
    at = details["answered_at"]
    assert details == {
        "request_id": f"was already answered by {by} at {at}",
        "answered_by": by,
        "answered_at": at,
    }
    assert abs((parse(received["timestamp"]) - parse(at)).total_seconds()) < 5

    # With and without the id of the request, while the run works and after its end.
    path = f"{BASE_PATH}/runs/{run['id']}/input"
    request_id = run["input_requests"][0]["id"]
    for _ in range(2):
        for body in ({}, {"request_id": request_id}):
            answer = {"content": '{"city": "Kiel"}', **body}
            rejected = second.http.post(path, json=answer)
            assert assert_rejected(rejected, 409, "runs.not_active") == details
        first.wait(run["id"], "completed")
        assert second.answer(run, feedback={"city": "Kiel"}).json()["error"]["details"] == details


def test_an_approval_also_says_who_was_first(people: People) -> None:
    first, second = people.key(user_id="ada"), people.key(user_id="bob")
    run = first.create({"case": "charge"})
    assert first.answer(run, is_approved=True).status_code == 200
    for response in (
        second.answer(run, is_approved=False),
        second.http.post(f"{BASE_PATH}/runs/{run['id']}/input", json={"content": "deny"}),
    ):
        body = response.json()
        assert body.get("error", body)["details"]["answered_by"] == "ada"
    # The same decision again is a retry.
    assert second.answer(run, is_approved=True).status_code == 200


def test_of_answers_at_the_same_time_all_but_one_get_who_was_first(people: People) -> None:
    services = [people.key(user_id=f"user-{number}") for number in range(6)]
    run = services[0].create({"case": "address"})

    def answer(number: int) -> httpx.Response:
        if number % 2:
            return services[number].answer(run, feedback={"city": f"City {number}"})
        body = {"content": f'{{"city": "City {number}"}}'}
        return services[number].http.post(f"{BASE_PATH}/runs/{run['id']}/input", json=body)

    with ThreadPoolExecutor(len(services)) as pool:
        responses = list(pool.map(answer, range(len(services))))
    assert sorted(response.status_code for response in responses) == [200, *[409] * 5]
    winner = next(number for number, one in enumerate(responses) if one.status_code == 200)
    for response in responses:
        if response.status_code == 409:
            body = response.json()
            assert body.get("error", body)["details"]["answered_by"] == f"user-{winner}"


def test_the_export_has_the_same_fields(people: People) -> None:
    service = people.key(user_id="ada")
    run = service.create({"case": "address"})
    exported = service.http.get(f"/v1/runs/{run['id']}/export").text
    assert '"agent":"people@1"' in exported
    assert '"effect":"none"' in exported
