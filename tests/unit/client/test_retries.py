"""When a request is sent again, and which headers it has."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from runyard.client.core.effects import Failure, Request, Response, Send, Sleep
from runyard.client.core.requests import exchange, make_request
from runyard.client.core.retries import retry_after, retry_pause
from runyard.client.errors import ApiError, Conflict, ConnectionLost, KeyRefused, RateLimited

LOST = Failure("ConnectError")


def answer(status: int, body: bytes = b"{}", **headers: str) -> Response:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Response(status, "https://api.test/v1/runs", named, body)


def run(request: Request, *answers: Response | Failure) -> tuple[Response, list[Request]]:
    """Perform the request with these answers; return the response and the sent requests."""
    call, result, left = exchange(request), None, list(answers)
    sent: list[Request] = []
    while True:
        try:
            effect = call.send(result)
        except StopIteration as stop:
            assert not left
            return stop.value, sent
        result = None
        if isinstance(effect, Send):
            sent.append(effect.request)
            result = left.pop(0)
        else:
            assert isinstance(effect, Sleep)


@pytest.mark.parametrize("failure", [LOST, *map(answer, (429, 502, 503, 504))])
def test_two_retries(failure: Response | Failure) -> None:
    response, sent = run(make_request("GET", "/v1/runs"), failure, failure, answer(200))
    assert (response.status, len(sent)) == (200, 3)
    with pytest.raises((ApiError, ConnectionLost)):
        run(make_request("GET", "/v1/runs"), failure, failure, failure)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422, 500, 501])
def test_no_retry_of_another_error(status: int) -> None:
    with pytest.raises(ApiError) as raised:
        run(make_request("GET", "/v1/runs"), answer(status))
    assert raised.value.status == status


def test_every_try_of_a_write_has_the_same_key() -> None:
    _, sent = run(make_request("POST", "/v1/runs", body={"input": {}}), LOST, LOST, answer(202))
    keys = {request.headers["Idempotency-Key"] for request in sent}
    assert len(keys) == 1
    assert {request.body for request in sent} == {b'{"input":{}}'}
    chosen = make_request("POST", "/v1/runs", idempotency_key="mine")
    assert chosen.headers["Idempotency-Key"] == "mine"
    assert make_request("POST", "/v1/runs").headers["Idempotency-Key"] not in keys


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_a_write_without_a_key_has_no_retry(method: str) -> None:
    for failure, error in ((LOST, ConnectionLost), (answer(503), ApiError)):
        with pytest.raises(error):
            run(make_request(method, "/v1/webhooks/w"), failure)  # type: ignore[arg-type]


def test_retry_after() -> None:
    request = make_request("GET", "/v1/runs")
    assert retry_pause(request, answer(429, retry_after="7"), 0) == 7
    assert retry_pause(request, answer(503, retry_after="60"), 1) == 60
    assert retry_pause(request, answer(429, retry_after="61"), 0) is None
    assert 0.25 <= (retry_pause(request, answer(503, retry_after="0"), 0) or 0) <= 0.5
    assert 0.5 <= (retry_pause(request, answer(503), 1) or 0) <= 1
    at = datetime.now(UTC) + timedelta(seconds=30)
    assert 28 < (retry_after({"retry-after": format_datetime(at)}) or 0) <= 30
    assert retry_after({"retry-after": "soon"}) is None


def test_errors_of_both_apis_and_of_proxies() -> None:
    runs = b'{"error": {"code": "forbidden", "message": "Forbidden", "details": {"scope": "x"}}}'
    with pytest.raises(KeyRefused) as denied:
        run(make_request("GET", "/v1/runs"), answer(403, runs, x_request_id="request-1"))
    assert denied.value.details == {"scope": "x"}
    assert str(denied.value) == "403 forbidden: scope: x (request request-1)"

    threads = b'{"code": "runs.thread_busy", "message": "busy", "trace_id": "ab"}'
    with pytest.raises(Conflict) as conflict:
        run(make_request("GET", "/v1/runs"), answer(409, threads, x_trace_id="ab"))
    assert (conflict.value.code, conflict.value.request_id) == ("runs.thread_busy", "ab")

    with pytest.raises(ApiError) as proxy:
        run(make_request("GET", "/v1/runs"), answer(418, b"<html>"))
    assert str(proxy.value) == "418 http_418"

    with pytest.raises(RateLimited) as limited:
        run(make_request("GET", "/v1/runs"), answer(429, retry_after="90"))
    assert limited.value.retry_after == 90


def test_who_has_answered_an_input_request() -> None:
    body = (
        b'{"error": {"code": "conflict", "message": "Conflict", "details":'
        b' {"answered_by": "key_1", "answered_at": "2026-11-28T12:00:00.000Z"}}}'
    )
    with pytest.raises(Conflict) as conflict:
        run(make_request("POST", "/v1/runs/r/input"), answer(409, body))
    assert conflict.value.answered_by == "key_1"
    assert conflict.value.answered_at == "2026-11-28T12:00:00.000Z"


def test_redirects() -> None:
    create = make_request("POST", "/v1/runs", body={"input": {}})
    see_other = answer(303, location="https://stream.test/v1/runs/r?ticket=t")
    _, sent = run(create, see_other, answer(200))
    assert (sent[1].method, sent[1].url) == ("GET", "https://stream.test/v1/runs/r?ticket=t")
    assert (sent[1].has_credentials, sent[1].body) == (False, None)
    assert "Idempotency-Key" not in sent[1].headers
    # Another host must not get the body of a write.
    for status in (301, 302, 307, 308):
        with pytest.raises(ApiError, match=r"use the URL https://other\.test"):
            run(create, answer(status, location="https://other.test/v1/runs"))
    with pytest.raises(ApiError, match="too_many_redirects"):
        run(make_request("GET", "/v1/runs"), *[answer(303, location="/v1/runs")] * 6)
