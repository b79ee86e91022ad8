"""Invalid input: the exact errors of the specification, and no run is created."""

import re
from typing import Any

import httpx
import pytest

from runyard_service.domain.ids import new_id
from tests.support.service import Service

UNKNOWN = "00000000-0000-4000-8000-000000000000"
TICKET = {"ticket_subject": "Export is broken"}


def assert_error(
    response: httpx.Response, status: int, code: str, details: dict[str, str] | None = None
) -> None:
    phrases = {
        400: "Bad Request",
        401: "Unauthorized",
        404: "Not Found",
        405: "Method Not Allowed",
        409: "Conflict",
        413: "Payload Too Large",
        415: "Unsupported Media Type",
    }
    expected: dict[str, Any] = {"code": code, "message": phrases[status]}
    if details is not None:
        expected["details"] = details
    assert (response.status_code, response.json()) == (status, {"error": expected})
    assert response.headers["x-request-id"]


@pytest.mark.parametrize(
    ("body", "details"),
    [
        ({}, {"input": "cannot be blank"}),
        ({"input": {}}, {"input": "cannot be blank"}),
        ({"input": None}, {"input": "cannot be blank"}),
        ({"input": "text"}, {"input": "must be an object"}),
        (
            {"input": TICKET, "colour": 1},
            {
                "colour": "is not a known field; known: agent, background, file_ids, input, "
                "session_id, stream, user_id"
            },
        ),
        ({"input": {"ticket_body": "x"}}, {"input.ticket_subject": "is required"}),
        ({"input": {"ticket_subject": ""}}, {"input.ticket_subject": "cannot be blank"}),
        (
            {"input": TICKET | {"ticket_bdy": 1}},
            {
                "input.ticket_bdy": "is not a known field; known: customer_id, ticket_body,"
                " ticket_subject; did you mean 'ticket_body'?"
            },
        ),
        ({"input": TICKET, "user_id": 7}, {"user_id": "must be a string"}),
        (
            {"input": TICKET, "user_id": "u" * 257},
            {"user_id": "must be at most 256 characters long"},
        ),
        ({"input": TICKET, "session_id": "x"}, {"session_id": "must be a UUID"}),
        ({"input": TICKET, "background": "yes"}, {"background": "must be true or false"}),
        (
            {"input": TICKET, "background": True, "stream": True},
            {"stream": "cannot be true together with background"},
        ),
    ],
)
def test_the_error_of_an_invalid_create_names_its_fields(
    service: Service, body: Any, details: dict[str, str]
) -> None:
    assert_error(service.http.post("/v1/runs", json=body), 400, "bad_request", details)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", "is not valid JSON"),
        (b"{", "is not valid JSON"),
        (b"[]", "must be a JSON object"),
        (b'{"input": {"ticket_subject": NaN}}', "is not valid JSON"),
        (b'{"input": {"n": 1e999}}', "has a number that is too large"),
        (b'{"input": {"s": "\\ud800"}}', "contains an unpaired surrogate"),
        (b'{"input": ' + b'{"a":' * 70 + b"1" + b"}" * 71, "must be nested at most 64 deep"),
        (b'{"a":' * 100_000, "is not valid JSON"),
        (b"\xff\xfe", "is not valid JSON"),
    ],
)
def test_a_body_that_is_not_valid_json_is_rejected(
    service: Service, content: bytes, error: str
) -> None:
    response = service.http.post(
        "/v1/runs", content=content, headers={"content-type": "application/json"}
    )
    assert_error(response, 400, "bad_request", {"body": error})


def test_other_media_types_are_rejected(service: Service) -> None:
    response = service.http.post("/v1/runs", content=b"x", headers={"content-type": "text/plain"})
    details = {"content-type": "must be application/json or multipart/form-data"}
    assert_error(response, 415, "unsupported_media_type", details)


def test_a_body_over_the_limit_of_the_platform_is_rejected(service: Service) -> None:
    headers = {"content-type": "application/json"}
    body = b'{"input": {"ticket_subject": "' + b"x" * 7_000_000 + b'"}}'
    response = service.http.post("/v1/runs", content=body, headers=headers)
    assert response.status_code == 413


@pytest.mark.parametrize("key", [None, "", "Bearer", "Bearer wrong", "Basic eDp5"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/runs"),
        ("GET", "/v1/runs/{id}"),
        ("GET", "/v1/runs/{id}/events"),
        ("GET", "/v1/runs/{id}/stream"),
        ("POST", "/v1/runs/{id}/input"),
        ("POST", "/v1/runs/{id}/cancel"),
    ],
)
def test_every_route_requires_a_key(
    service: Service, method: str, path: str, key: str | None
) -> None:
    headers = {} if key is None else {"Authorization": key}
    url = service.base_url + path.format(id=new_id())
    reason = "must be Bearer and an access key"
    if key == "Bearer wrong":
        reason = "has a key that is unknown, expired or revoked"
    response = httpx.request(method, url, headers=headers)
    assert_error(response, 401, "unauthorized", {"authorization": reason})


@pytest.mark.parametrize("run_id", [UNKNOWN, "nonsense", "%00", "%0A", "a" * 300])
@pytest.mark.parametrize("tail", ["", "/events", "/stream"])
def test_an_unknown_run_is_not_found(service: Service, run_id: str, tail: str) -> None:
    assert_error(service.http.get(f"/v1/runs/{run_id}{tail}"), 404, "not_found")


@pytest.mark.parametrize("path", ["/", "/v2/runs", "/v1/run"])
def test_an_unknown_route_is_not_found(service: Service, path: str) -> None:
    assert_error(service.http.get(path), 404, "not_found")


def test_a_wrong_method_is_rejected(service: Service) -> None:
    assert_error(service.http.put(f"/v1/runs/{new_id()}"), 405, "method_not_allowed")


@pytest.mark.parametrize(
    ("query", "details"),
    [
        ("page=0", {"page": "must be an integer from 1 to 1000000000"}),
        ("page_size=501", {"page_size": "must be an integer from 1 to 500"}),
        ("sort=id", {"sort": "must contain only: sequence"}),
    ],
)
def test_a_page_out_of_range_is_rejected(
    service: Service, query: str, details: dict[str, str]
) -> None:
    run = service.create(TICKET)
    response = service.http.get(f"/v1/runs/{run['id']}/events?{query}")
    assert_error(response, 400, "bad_request", details)


def test_pages_contain_the_whole_log_in_both_directions(service: Service) -> None:
    run = service.create(TICKET)
    events = service.events(run["id"])
    seen = []
    for page in range(1, 100):
        path = f"/v1/runs/{run['id']}/events?page={page}&page_size=3&sort=-sequence"
        body = service.http.get(path).json()
        assert body["pagination"]["total_count"] == len(events)
        seen += body["data"]
        if not body["data"]:
            assert page == body["pagination"]["page_count"] + 1
            break
    assert seen == events[::-1]


def test_a_stream_accepts_valid_cursors_and_rejects_others(service: Service) -> None:
    run = service.create(TICKET)
    path, last = f"/v1/runs/{run['id']}/stream", len(service.events(run["id"]))

    def ids(query: str, **headers: str) -> list[str]:
        lines = service.http.get(path + query, headers=headers).text.splitlines()
        return [line[4:] for line in lines if line.startswith("id: ")]

    everything = [str(n) for n in range(1, last + 1)]
    for query in ("", "?after_sequence=", "?after_sequence=-1", "?after_sequence=0"):
        assert ids(query) == everything
    assert ids("?after_sequence=3") == everything[3:]
    assert ids("?after_sequence=1", **{"Last-Event-ID": "4"}) == everything[4:]
    assert service.http.get(f"{path}?after_sequence={last}").status_code == 204
    past = service.http.get(f"{path}?after_sequence={last + 1}")
    error = {"after_sequence": f"exceeds the last sequence, {last}"}
    assert_error(past, 400, "bad_request", error)
    for wrong in ("x", "1.5", "-2", "9" * 40):
        response = service.http.get(f"{path}?after_sequence={wrong}")
        error = {"after_sequence": "must be an integer of at least 0"}
        assert_error(response, 400, "bad_request", error)


@pytest.mark.parametrize(
    ("body", "details"),
    [
        ({}, {"type": "is required", "data": "is required"}),
        (
            {"type": "x", "data": {}},
            {"type": "must be one of 'human_feedback' or 'approval_request'"},
        ),
        ({"type": "human_feedback", "data": {}}, {"data.request_id": "is required"}),
        (
            {"type": "human_feedback", "data": {"request_id": UNKNOWN, "feedback": "y"}},
            {"request_id": "is not a request of this run"},
        ),
    ],
)
def test_an_invalid_answer_is_rejected(
    service: Service, body: Any, details: dict[str, str]
) -> None:
    run = service.create({"ticket_subject": "Help!"})
    response = service.http.post(f"/v1/runs/{run['id']}/input", json=body)
    assert_error(response, 400, "bad_request", details)
    assert service.run(run["id"])["status"] == "awaiting_input"


def test_answers_that_contradict_the_request_are_rejected(service: Service) -> None:
    run = service.create({"ticket_subject": "Help!"})
    assert_error(
        service.answer(run, feedback="nonsense"),
        400,
        "bad_request",
        {"feedback": "must be one of: billing, technical, account, other"},
    )
    assert_error(
        service.answer(run, feedback="  "), 400, "bad_request", {"feedback": "cannot be blank"}
    )
    request = run["input_requests"][0]
    wrong = {
        "type": "approval_request",
        "data": {"request_id": request["id"], "is_approved": True},
    }
    assert_error(
        service.http.post(f"/v1/runs/{run['id']}/input", json=wrong),
        400,
        "bad_request",
        {"type": "the request is of type human_feedback"},
    )
    assert service.answer(run, feedback="other").status_code == 200
    assert service.answer(run, feedback="other").status_code == 200
    again = service.answer(run, feedback="billing")
    assert again.status_code == 409
    reason = again.json()["error"]["details"]["request_id"]
    assert re.fullmatch(r"was already answered by key_[0-9a-f]{12} at 20\d\d-\S+Z", reason)
    service.wait(run["id"], "completed")
    assert service.answer(run, feedback="billing").status_code == 409
    assert service.answer(run, feedback="other").status_code == 200


def test_an_edit_of_other_parameters_is_rejected(service: Service) -> None:
    run = service.create({"ticket_subject": "x", "ticket_body": "I was charged twice"})
    for params, details in [
        ({"order_id": "1"}, {"params.order_id": "cannot be changed"}),
        ({"amount": 0}, {"params.amount": "must be above 0"}),
        ({"amount": 5000}, {"params.amount": "must be at most 1000"}),
        ({"amount": "x"}, {"params.amount": "must be of type number"}),
    ]:
        response = service.answer(run, is_approved=True, params=params)
        assert_error(response, 400, "bad_request", details)
    assert service.run(run["id"])["status"] == "awaiting_input"
