"""Test input requests with both APIs and the real state machine: forms, approvals, expiry."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from runyard.cli.verify_stores import find_run_violations
from runyard_dev.access_key import ORG_ID, PROJECT_ID
from runyard_dev.dev_stack import DevStack
from runyard_dev.emulators.loopback_http import HOST
from runyard_service.adapters.dynamodb.access_keys import ALL_SCOPES, Scope
from runyard_service.adapters.stores import Stores
from tests.support.service import Service, assert_whole
from tests.support.threads_service import ThreadsService, assert_rejected
from tests.support.wait_until import wait_until

PEOPLE_KEY = "ry_people_key"
ADDRESS = {"city": "Bremen", "zip": "28195"}


@pytest.fixture(scope="module")
def people(stack: DevStack, stores: Stores) -> Iterator[Service]:
    """Yield the service for a key of the agent in `tests/agents/people.yaml`."""
    stores.access_keys.save(PEOPLE_KEY, project_id=PROJECT_ID, org_id=ORG_ID, agent="people")
    running = Service(stack.base_url, PEOPLE_KEY)
    yield running
    running.close()


@pytest.fixture
def threads(stack: DevStack, people: Service) -> Iterator[ThreadsService]:
    """Yield the Threads API for the same key."""
    with ThreadsService(stack.base_url, PEOPLE_KEY) as running:
        yield running


def details(response: Any, status: int = 400) -> Any:
    assert response.status_code == status, response.text
    return response.json()["error"]["details"]


def data_of(service: Service, run_id: str) -> dict[str, Any]:
    """Return the data of the run's events by type; the last event of a type counts."""
    return {event["type"]: event["data"] for event in service.events(run_id)}


# --- forms and choices ---------------------------------------------------------------------------


def test_a_form_is_presented_validated_and_sent_to_the_model(people: Service) -> None:
    run = people.create({"case": "address"})
    (request,) = run["input_requests"]
    assert request["params"]["form"]["required"] == ["city"]
    (waiting,) = [
        one
        for one in people.http.get("/v1/input-requests").json()["data"]
        if one["run_id"] == run["id"]
    ]
    assert waiting == {"run_id": run["id"], **request}
    wrong = people.answer(run, feedback={"zip": "x", "street": 1})
    assert details(wrong) == {
        "feedback.city": "is required",
        "feedback.zip": "does not fit the schema (pattern)",
        "feedback.street": "is not a known field; known: city, zip",
    }
    assert details(people.answer(run, feedback=json.dumps(ADDRESS))) == {
        "feedback": "must be of type object"
    }
    assert people.answer(run, feedback=ADDRESS).status_code == 200
    assert people.wait(run["id"], "completed")["output"] == {"content": "To Bremen."}
    # The same answer is accepted again, a different answer is rejected.
    assert people.answer(run, feedback=dict(reversed(ADDRESS.items()))).status_code == 200
    assert people.answer(run, feedback={"city": "Kiel"}).status_code == 409
    data = data_of(people, run["id"])
    assert data["agent.human_feedback.received"]["feedback"] == ADDRESS
    assert json.loads(data["agent.tool_call.completed"]["result"]) == ADDRESS


def test_a_model_may_define_its_own_form(people: Service) -> None:
    run = people.create({"case": "own form"})
    assert details(people.answer(run, feedback={"amount": 0})) == {
        "feedback.amount": "must be at least 1"
    }
    assert people.answer(run, feedback={"amount": 3}).status_code == 200
    assert people.wait(run["id"], "completed")["output"] == {"content": "3."}


def test_an_invalid_form_is_reported_to_the_model(people: Service) -> None:
    run = people.create({"case": "bad form"})
    assert run["status"] == "completed"
    failed = data_of(people, run["id"])["agent.tool_call.failed"]
    assert failed["error"]["code"] == "invalid_arguments"
    assert run["output"]["content"].endswith("form.type must be object.")


def test_a_form_is_answered_in_a_thread_as_json(threads: ThreadsService, people: Service) -> None:
    run = people.create({"case": "address"})
    path = f"/runs/{run['id']}/input"

    def send(content: str) -> Any:
        return threads.http.post(path, json={"content": content})

    assert assert_rejected(send("Bremen"), 422, "validation.error") == {
        "content": "is not valid JSON"
    }
    assert assert_rejected(send('["Bremen"]'), 422, "validation.error") == {
        "content": "must be of type object"
    }
    assert assert_rejected(send('{"zip": 1}'), 422, "validation.error") == {
        "content.city": "is required",
        "content.zip": "must be of type string",
    }
    assert send(json.dumps(ADDRESS)).json() == {"ok": True}
    assert people.wait(run["id"], "completed")["output"] == {"content": "To Bremen."}
    events = threads.events(run["id"])
    asked = next(e["data"] for e in events if e["type"] == "run.waiting_for_input")
    assert asked["params"]["form"]["required"] == ["city"]
    given = next(e["data"] for e in events if e["type"] == "run.input_provided")
    assert json.loads(given["content"]) == ADDRESS


@pytest.mark.parametrize("api", ["runs", "threads"])
def test_a_choice_is_recorded_exactly_as_written(
    people: Service, threads: ThreadsService, api: str
) -> None:
    run = people.create({"case": "mixed"})
    request = run["input_requests"][0]

    def send(text: str) -> int:
        if api == "runs":
            return people.answer(run, feedback=text).status_code
        body = {"content": text, "request_id": request["id"]}
        return threads.http.post(f"/runs/{run['id']}/input", json=body).status_code

    assert send("red") == (400 if api == "runs" else 422)
    assert send(" Red\n") == 200
    assert send("Red") == 200
    assert data_of(people, run["id"])["agent.human_feedback.received"]["feedback"] == "Red"
    people.http.post(f"/v1/runs/{run['id']}/cancel")


# --- callers and order of answers ----------------------------------------------------------------


def test_input_requests_are_answered_in_any_order_by_any_key_with_the_scope(
    people: Service, stack: DevStack, stores: Stores
) -> None:
    def caller(
        name: str, project: str = PROJECT_ID, scopes: frozenset[Scope] = ALL_SCOPES
    ) -> Service:
        stores.access_keys.save(name, project_id=project, org_id=ORG_ID, scopes=scopes)
        return Service(stack.base_url, name)

    run = people.create({"case": "mixed"})
    choice, form, approval = ({**run, "input_requests": [one]} for one in run["input_requests"])
    colleague = caller("ry_colleague")
    reader = caller("ry_reader", scopes=frozenset({"runs:read"}))
    stranger = caller("ry_stranger", "another project")
    assert reader.answer(choice, feedback="Red").status_code == 403
    assert stranger.answer(choice, feedback="Red").status_code == 404
    assert colleague.answer(approval, is_approved=False).status_code == 200
    assert people.answer(form, feedback=ADDRESS).status_code == 200
    assert people.run(run["id"])["status"] == "awaiting_input"
    assert colleague.answer(choice, feedback="blue").status_code == 200
    done = people.wait(run["id"], "completed")
    assert done["output"] == {"content": "blue to Bremen"}
    events = people.events(run["id"])
    assert_whole(events)
    by = [event["data"]["answered_by"] for event in events if "answered_by" in event["data"]]
    assert by[0] == by[2] != by[1]
    for service in (colleague, reader, stranger):
        service.close()


def test_a_waiting_run_has_no_lambda_running(people: Service, stack: DevStack) -> None:
    run = people.create({"case": "two input requests"})
    invocations = f"http://{HOST}:{stack.port('lambda')}/invocations"

    def counts() -> Any:
        return people.http.get(invocations).json()

    def is_idle() -> bool:
        return not any(counts()[name]["active"] for name in counts() if name != "SweepFunction")

    wait_until(is_idle)
    before = counts()
    time.sleep(1.5)
    after = counts()
    for name in ("RunStepFunction", "RequestInputFunction", "CloseRunFunction"):
        assert after[name] == before[name], name
        assert after[name]["active"] == 0
    for one in run["input_requests"]:
        assert people.answer({**run, "input_requests": [one]}, feedback="a").status_code == 200
    people.wait(run["id"], "completed")
    assert counts()["RunStepFunction"]["started"] == before["RunStepFunction"]["started"] + 1


# --- approvals -----------------------------------------------------------------------------------


def test_the_log_records_the_proposed_presented_approved_and_called_arguments(
    people: Service,
) -> None:
    run = people.create({"case": "charge"})
    (request,) = run["input_requests"]
    proposed = {"order_id": "Ä-1", "amount": 10.5}
    assert request["prompt"] == 'Approve calling charge with order_id="Ä-1", amount=10.5?'
    assert details(people.answer(run, is_approved=True, params={"amount": 500})) == {
        "params.amount": "must be at most 100"
    }
    assert details(people.answer(run, is_approved=True, params={"order_id": "b"})) == {
        "params.order_id": "cannot be changed"
    }
    # A client may send all arguments back.
    edited = {**proposed, "amount": 20}
    assert people.answer(run, is_approved=True, params=edited).status_code == 200
    people.wait(run["id"], "completed")
    data = data_of(people, run["id"])
    effective = {"order_id": "Ä-1", "amount": 20}
    assert data["agent.tool_call.started"]["input"] == proposed
    assert data["approval_request.created"]["params"] == proposed
    resolved = data["approval_request.resolved"]
    assert (resolved["proposed_params"], resolved["effective_params"]) == (proposed, effective)
    assert resolved["answered_by"]
    assert data["agent.tool_call.completed"]["input"] == effective


def test_a_denial_and_its_reason_are_sent_to_the_model(people: Service) -> None:
    run = people.create({"case": "charge"})
    # A denial ignores the params.
    denial = {"is_approved": False, "feedback": "too early", "params": {"amount": -1, "to": "me"}}
    assert people.answer(run, **denial).status_code == 200
    done = people.wait(run["id"], "completed")
    assert done["output"] == {"content": "A person denied this call: too early"}


def test_an_answer_that_cannot_be_stored_is_rejected(people: Service) -> None:
    run = people.create({"case": "charge"})
    long = "x" * 200_000
    assert details(people.answer(run, is_approved=True, feedback=long)) == {
        "feedback": "must be at most 131072 bytes as JSON"
    }
    assert people.http.post(f"/v1/runs/{run['id']}/cancel").status_code == 200


# --- expiry --------------------------------------------------------------------------------------


def test_input_requests_expire_separately_and_the_run_waits_for_the_others(
    people: Service, stores: Stores
) -> None:
    run = people.create({"case": "some expire"})
    soon, later, ever = run["input_requests"]
    assert (soon["on_expiry"], soon["params"]["default"]) == ("use_default", "no")
    assert soon["expires_at"] < later["expires_at"]
    assert "expires_at" not in ever
    wait_until(lambda: len(_open(people, run)) == 2)
    late = people.answer({**run, "input_requests": [soon]}, feedback="yes")
    assert details(late, 409)["request_id"].startswith("expired at 20")
    assert people.answer({**run, "input_requests": [ever]}, feedback="at last").status_code == 200
    assert [one["id"] for one in _open(people, run)] == [later["id"]]
    done = people.wait(run["id"], "completed")
    assert done["output"] == {"content": "no, later, at last"}
    events = people.events(run["id"])
    expired = [event["data"] for event in events if event["type"] == "input_request.expired"]
    assert expired == [
        {"id": soon["id"], "on_expiry": "use_default"},
        {"id": later["id"], "on_expiry": "use_default"},
    ]
    assert [event["type"] for event in events].count("run.paused") == 1
    assert find_run_violations(stores, run["id"]) == []


def test_an_expired_input_request_can_fail_the_run_without_waiting_for_the_others(
    people: Service, stores: Stores
) -> None:
    run = people.create({"case": "one fails"})
    failed = people.wait(run["id"], "failed")
    assert failed["error"] == {
        "code": "input_expired",
        "message": "input request for ask_or_fail expired",
    }
    assert people.answer(run, feedback="late").status_code == 409
    assert find_run_violations(stores, run["id"]) == []


@pytest.mark.parametrize(
    ("case", "output"),
    [
        ("charge soon", "The approval request expired."),
        ("address soon", "To Nowhere."),
    ],
)
def test_an_expired_input_request_is_denied_or_gets_its_default(
    people: Service, case: str, output: str
) -> None:
    run = people.create({"case": case})
    assert people.wait(run["id"], "completed")["output"] == {"content": output}


def _open(service: Service, run: dict[str, Any]) -> list[dict[str, Any]]:
    return service.run(run["id"]).get("input_requests", [])  # type: ignore[no-any-return]
