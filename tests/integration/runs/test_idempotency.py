"""Test `Idempotency-Key`: one run for repeated, concurrent and crashed requests."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from runyard_dev.access_key import ORG_ID, PROJECT_ID
from runyard_dev.dev_stack import DevStack
from runyard_dev.stack_plan import WEB
from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.dynamodb.idempotency import compute_fingerprint
from runyard_service.adapters.dynamodb.table import Table
from runyard_service.adapters.stores import Stores
from runyard_service.api.services import Services
from runyard_service.domain.ids import new_id
from tests.support.app_server import app_with, make_services
from tests.support.service import Service

TICKET = {"ticket_subject": "Export is broken"}
REPLAYED = "idempotency-replayed"


@pytest.fixture(scope="module")
def service(stack: DevStack) -> Iterator[Service]:
    running = Service(stack.base_url, stack.access_key)
    yield running
    running.close()


class Request:
    """A create that can be repeated; its runs have a user id of their own."""

    def __init__(self, service: Service, **fields: Any) -> None:
        self.service = service
        self.name = f"create {new_id()}"
        self.user_id = f"user-{new_id()}"
        self.body: dict[str, Any] = {"input": TICKET, "user_id": self.user_id, **fields}
        self.headers = {"Idempotency-Key": self.name}

    def send(self, http: Any = None, **changes: Any) -> httpx.Response:
        """Send the request with the service, or with another client of it."""
        body = self.body | changes
        client: httpx.Client = http or self.service.http
        return client.post("/v1/runs", json=body, headers=self.headers)

    def runs(self) -> list[str]:
        """Return the ids of the runs that were started for it."""
        response = self.service.http.get("/v1/runs", params={"user_id": self.user_id})
        assert response.status_code == 200, response.text
        return [run["id"] for run in response.json()["data"]]


@pytest.mark.parametrize("background", [False, True])
def test_the_same_request_gets_the_same_response(service: Service, background: bool) -> None:
    request = Request(service, background=background)
    first = request.send()
    assert REPLAYED not in first.headers
    run_id = first.json()["data"]["id"]
    service.wait(run_id, "completed")
    again = request.send()
    assert again.headers[REPLAYED] == "true"
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers.get("location") == first.headers.get("location")
    assert again.headers["content-type"] == first.headers["content-type"]
    assert request.runs() == [run_id]


def test_equal_json_is_the_same_body(service: Service) -> None:
    request = Request(service)
    run = request.send().json()["data"]
    text = (
        f'{{ "user_id": "{request.user_id}",  "stream": false,'
        ' "input": {"ticket_subject": "Export is\\u0020broken"} }'
    )
    headers = request.headers | {"content-type": "application/json"}
    again = service.http.post("/v1/runs", content=text, headers=headers)
    assert again.json()["data"] == run


def test_without_a_key_every_request_starts_a_run(service: Service) -> None:
    request = Request(service)
    request.headers = {}
    assert request.send().json()["data"]["id"] != request.send().json()["data"]["id"]


def test_a_different_request_with_the_same_key_is_rejected(service: Service) -> None:
    request = Request(service)
    run = request.send().json()["data"]
    details = {"Idempotency-Key": "was used with another request"}
    other_body = request.send(user_id="user-2")
    other_route = service.http.post(f"/v1/runs/{run['id']}/cancel", headers=request.headers)
    for response in (other_body, other_route):
        assert response.status_code == 409
        error = {"code": "conflict", "message": "Conflict", "details": details}
        assert response.json() == {"error": error}
    assert request.runs() == [run["id"]]


def test_keys_of_different_projects_are_independent(service: Service, stores: Stores) -> None:
    request = Request(service)
    run = request.send().json()["data"]
    secret = f"ry_{new_id()}"
    stores.access_keys.save(secret, project_id=f"p-{new_id()}", org_id=f"o-{new_id()}")
    stranger = Service(service.base_url, secret)
    response = request.send(stranger.http)
    stranger.close()
    assert response.status_code == 200
    assert REPLAYED not in response.headers
    assert response.json()["data"]["id"] != run["id"]


@pytest.mark.parametrize("name", ["", "k" * 256, "tab\there", "ümlaut"])
def test_an_invalid_key_is_rejected(service: Service, name: str) -> None:
    request = Request(service)
    headers = [(b"Idempotency-Key", name.encode("latin-1"))]
    response = service.http.post("/v1/runs", json=request.body, headers=headers)
    assert response.status_code == 400
    details = {"Idempotency-Key": "must be 1 to 255 printable ASCII characters"}
    assert response.json()["error"]["details"] == details
    assert request.runs() == []


def test_the_longest_key_is_accepted(service: Service) -> None:
    request = Request(service)
    request.headers["Idempotency-Key"] = new_id().ljust(255, "~")
    assert request.send().json() == request.send().json()


def test_a_key_can_be_reused_after_a_day(service: Service, stack: DevStack) -> None:
    request = Request(service)
    first = request.send().json()["data"]["id"]
    table = Table(stack.client("dynamodb"), stack.environment["RECORDS_TABLE"])
    key = keys.idempotency(compute_fingerprint(PROJECT_ID, request.name))
    item = table.get(key)
    assert item is not None
    assert abs(int(item["ttl"]) - time.time() - 24 * 3600) < 60
    table.update(key, {"ttl": int(time.time())})
    second = request.send(input={"ticket_subject": "Help!"})
    assert REPLAYED not in second.headers
    assert second.json()["data"]["status"] == "awaiting_input"
    assert request.runs() == [second.json()["data"]["id"], first]
    assert request.send(input={"ticket_subject": "Help!"}).content == second.content


def test_an_error_response_is_not_stored(service: Service) -> None:
    request = Request(service, input={"ticket_body": "no subject"})
    for _ in range(2):
        response = request.send()
        assert response.status_code == 400
        assert REPLAYED not in response.headers
    assert request.runs() == []


def test_a_large_response_is_repeated_completely(service: Service, stores: Stores) -> None:
    # The agent of the tests accepts any input.
    secret = f"ry_{new_id()}"
    stores.access_keys.save(secret, project_id=PROJECT_ID, org_id=ORG_ID, agent="tools")
    request = Request(service, input={"case": "large", "text": "ü" * 500_000})
    request.headers["Authorization"] = f"Bearer {secret}"
    first, again = request.send(), request.send()
    assert first.json()["data"]["input"] == request.body["input"]
    assert again.headers[REPLAYED] == "true"
    assert again.content == first.content
    assert len(request.runs()) == 1


def test_a_stream_is_streamed_again_from_its_first_event(service: Service) -> None:
    request = Request(service, stream=True)
    first, again = request.send(), request.send()
    assert (first.status_code, again.status_code) == (200, 200)
    assert REPLAYED not in first.headers
    assert again.headers[REPLAYED] == "true"
    for name in ("content-type", "location", "x-run-id"):
        assert again.headers[name] == first.headers[name]
    assert again.text == first.text
    assert "event: run.completed" in again.text
    assert request.runs() == [first.headers["x-run-id"]]


def test_an_answer_and_a_cancel_are_repeated(service: Service) -> None:
    run = service.create({"ticket_subject": "Help!"})
    asked = run["input_requests"][0]
    body = {"type": asked["type"], "data": {"request_id": asked["id"], "feedback": "account"}}
    path = f"/v1/runs/{run['id']}"
    headers = {"Idempotency-Key": new_id()}
    answers = [service.http.post(f"{path}/input", json=body, headers=headers) for _ in range(3)]
    service.wait(run["id"], "completed")
    answers.append(service.http.post(f"{path}/input", json=body, headers=headers))
    assert [answer.json() for answer in answers] == [{"message": "ok"}] * 4
    assert [answer.headers.get(REPLAYED) for answer in answers] == [None, "true", "true", "true"]
    body["data"]["feedback"] = "billing"
    assert service.http.post(f"{path}/input", json=body, headers=headers).status_code == 409

    headers = {"Idempotency-Key": new_id()}
    ends = [service.http.post(f"{path}/cancel", headers=headers) for _ in range(2)]
    assert [end.json() for end in ends] == [{"message": "canceled"}] * 2
    assert ends[1].headers[REPLAYED] == "true"


@pytest.mark.parametrize("mode", [{}, {"background": True}, {"stream": True}])
def test_concurrent_requests_start_one_run_and_get_the_same_response(
    service: Service, mode: dict[str, bool]
) -> None:
    request = Request(service, **mode)
    together = threading.Barrier(20)

    def send(_: int) -> httpx.Response:
        together.wait()
        return request.send()

    with ThreadPoolExecutor(20) as pool:
        responses = list(pool.map(send, range(20)))
    assert {response.status_code for response in responses} == {
        202 if "background" in mode else 200
    }
    assert len(request.runs()) == 1
    assert [response.headers.get(REPLAYED) for response in responses].count(None) == 1
    if not mode.get("stream"):
        assert len({response.content for response in responses}) == 1


def test_concurrent_answers_are_recorded_once(service: Service) -> None:
    run = service.create({"ticket_subject": "Help!"})
    asked = run["input_requests"][0]
    body = {"type": asked["type"], "data": {"request_id": asked["id"], "feedback": "account"}}
    headers = {"Idempotency-Key": new_id()}
    with ThreadPoolExecutor(10) as pool:
        responses = list(
            pool.map(
                lambda _: service.http.post(
                    f"/v1/runs/{run['id']}/input", json=body, headers=headers
                ),
                range(10),
            )
        )
    assert {response.status_code for response in responses} == {200}
    service.wait(run["id"], "completed")
    types = [event["type"] for event in service.events(run["id"])]
    assert types.count("agent.human_feedback.received") == 1


# --- crashes --------------------------------------------------------------------------------------


def crash(*_: Any, **__: Any) -> None:
    raise RuntimeError("the process dies here")


def before_the_run_is_recorded(services: Services, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(services.stores.runs, "create", crash)


def before_the_execution_is_started(services: Services, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(services.orchestrator, "start", crash)


def before_the_response_is_stored(services: Services, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(services.stores.idempotency, "store_response", crash)


def before_the_answer_is_sent(services: Services, patch: pytest.MonkeyPatch) -> None:
    patch.setattr("runyard_service.api.idempotency._with_replay_header", crash)


@pytest.mark.parametrize(
    "dies",
    [
        before_the_run_is_recorded,
        before_the_execution_is_started,
        before_the_response_is_stored,
        before_the_answer_is_sent,
    ],
)
@pytest.mark.parametrize("background", [False, True])
def test_after_a_crash_the_retry_finds_the_run(
    service: Service,
    stack: DevStack,
    monkeypatch: pytest.MonkeyPatch,
    dies: Callable[[Services, pytest.MonkeyPatch], None],
    background: bool,
) -> None:
    request = Request(service, background=background)
    own = make_services(stack)
    with TestClient(app_with(own)) as api, monkeypatch.context() as patch:
        api.headers["Authorization"] = f"Bearer {stack.access_key}"
        dies(own, patch)
        assert request.send(api).status_code == 500
    before = request.runs()
    assert len(before) == (0 if dies is before_the_run_is_recorded else 1)

    retry = request.send()
    assert retry.status_code == (202 if background else 200)
    assert retry.headers[REPLAYED] == "true"
    run_id = retry.json()["data"]["id"]
    service.wait(run_id, "completed")
    assert request.runs() == [run_id] == (before or [run_id])
    assert request.send().content == retry.content


@pytest.mark.timeout(180)
def test_kill_9_of_the_server_at_any_moment_starts_no_second_run(
    service: Service, stack: DevStack
) -> None:
    for milliseconds in (1, 5, 10, 20, 40, 80):
        request = Request(service)
        lost = threading.Thread(target=_send_until_connection_fails, args=(request,))
        lost.start()
        time.sleep(milliseconds / 1000)
        stack.kill(WEB)
        lost.join()
        stack.restart(WEB)
        with httpx.Client(base_url=service.base_url, headers=service.http.headers) as http:
            response = request.send(http)
        assert response.status_code == 200
        assert request.runs() == [response.json()["data"]["id"]]


def _send_until_connection_fails(request: Request) -> None:
    with httpx.Client(base_url=request.service.base_url) as http:
        http.headers = request.service.http.headers
        try:
            request.send(http)
        except httpx.TransportError:
            return
