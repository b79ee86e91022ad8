"""The streams of both APIs: a test for each promise of the documentation."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from runyard_service.domain.events import DELTA_TYPES
from runyard_service.domain.ids import new_id
from tests.support.service import Service

TICKET = {"ticket_subject": "Export is broken"}


@dataclass(frozen=True)
class Api:
    """The path of a run's stream in an API, and the names of its parts."""

    path: str
    cursor: str
    comment: str
    error_status: int

    def of(self, run_id: str) -> str:
        return self.path.format(run_id)


RUNS = Api("/v1/runs/{}/stream", "after_sequence", ": heartbeat", 400)
THREADS = Api("/threads/v1/runs/{}/events", "after_seq", ": ping", 422)
both = pytest.mark.parametrize("api", [RUNS, THREADS], ids=["runs", "threads"])


@pytest.fixture(scope="module")
def ended(service: Service) -> str:
    """Return the id of a run that has ended."""
    return str(service.create(TICKET)["id"])


@pytest.fixture(scope="module")
def waiting(service: Service) -> Iterator[str]:
    """Yield the id of a run that waits for a person."""
    run = service.create({"ticket_subject": "Help!"})
    yield str(run["id"])
    service.http.post(f"/v1/runs/{run['id']}/cancel")


@contextmanager
def lines_of(
    service: Service, path: str, **headers: str
) -> Iterator[tuple[httpx.Response, Iterator[str]]]:
    """Open a stream; yield its response and an iterator of its lines."""
    with service.http.stream("GET", path, headers=headers) as response:
        assert response.status_code == 200, response.read()
        yield response, response.iter_lines()


def ids(response: httpx.Response) -> list[int]:
    return [int(found) for found in re.findall(r"^id: (\d+)$", response.text, re.MULTILINE)]


def test_a_frame_of_the_runs_api_has_id_event_and_data(service: Service, ended: str) -> None:
    head, *frames = service.http.get(RUNS.of(ended)).text.split("id: ")
    assert head == "retry: 2000\n"
    logged = service.events(ended)
    assert len(frames) == len(logged)
    for frame, event in zip(frames, logged, strict=True):
        number, kind, data, *end = frame.split("\n")
        assert (number, kind) == (str(event["sequence"]), f"event: {event['type']}")
        assert json.loads(data.removeprefix("data: ")) == event
        assert end == ["", ""]


def test_a_frame_of_the_threads_api_has_no_event_line(service: Service, ended: str) -> None:
    head, *frames = service.http.get(THREADS.of(ended)).text.split("id: ")
    assert head == "retry: 2000\n"
    for position, frame in enumerate(frames, start=1):
        number, data, *end = frame.split("\n")
        view = json.loads(data.removeprefix("data: "))
        assert (number, view["seq"], view["run_id"]) == (str(position), position, ended)
        assert set(view) == {"seq", "type", "data", "created_at", "run_id"}
        assert end == ["", ""]


@both
def test_the_headers_prevent_buffering_and_transformation(
    service: Service, api: Api, ended: str, waiting: str
) -> None:
    everything = "gzip, deflate, br, zstd"
    for path in (api.of(ended), api.of(waiting)):
        with lines_of(service, path, **{"Accept-Encoding": everything}) as (response, _):
            assert response.headers["content-type"].startswith("text/event-stream")
            assert response.headers["cache-control"] == "no-store, no-transform"
            assert response.headers["x-accel-buffering"] == "no"
            assert "content-encoding" not in response.headers
            assert response.headers["x-request-id"]


@both
@pytest.mark.parametrize("accept", ["application/json", "text/html", "*/*", "nonsense"])
def test_the_accept_header_is_ignored(service: Service, api: Api, ended: str, accept: str) -> None:
    response = service.http.get(api.of(ended), headers={"Accept": accept})
    assert response.headers["content-type"].startswith("text/event-stream")


@both
def test_an_idle_stream_sends_single_comment_lines(
    service: Service, api: Api, waiting: str
) -> None:
    last = len(service.events(waiting))
    with lines_of(service, f"{api.of(waiting)}?{api.cursor}={last}") as (_, lines):
        assert next(lines) == "retry: 2000"
        # No blank line follows: some clients would treat it as the end of an event.
        assert [next(lines), next(lines)] == [api.comment] * 2


@both
def test_the_start_position_can_be_a_parameter_or_a_header(
    service: Service, api: Api, ended: str
) -> None:
    everything = list(range(1, len(service.events(ended)) + 1))

    def ids_from(query: str, **headers: str) -> list[int]:
        return ids(service.http.get(api.of(ended) + query, headers=headers))

    for zero in ("", f"?{api.cursor}=", f"?{api.cursor}=-1", f"?{api.cursor}=0"):
        assert ids_from(zero) == everything
        assert ids_from(zero, **{"Last-Event-ID": "2"}) == everything[2:]
    for zero in ("", "-1", "0"):
        assert ids_from(f"?{api.cursor}=3", **{"Last-Event-ID": zero}) == everything
    assert ids_from(f"?{api.cursor}=3") == everything[3:]
    assert ids_from(f"?{api.cursor}=9", **{"Last-Event-ID": "4"}) == everything[4:]


@both
def test_a_stream_without_deltas_resumes_at_every_cursor(
    service: Service, api: Api, ended: str
) -> None:
    events = service.events(ended)
    rest = [event["sequence"] for event in events if event["type"] not in DELTA_TYPES]
    assert 0 < len(rest) < len(events)
    for after in range(len(events)):
        response = service.http.get(
            api.of(ended), params={"deltas": "false"}, headers={"Last-Event-ID": str(after)}
        )
        assert ids(response) == [sequence for sequence in rest if sequence > after]
    path = f"{api.of(ended)}?deltas=false&{api.cursor}={len(events)}"
    assert service.http.get(path).status_code == 204
    assert len(ids(service.http.get(f"{api.of(ended)}?deltas="))) == len(events)


@both
def test_every_invalid_parameter_of_a_stream_is_named(
    service: Service, api: Api, ended: str
) -> None:
    response = service.http.get(f"{api.of(ended)}?deltas=maybe&{api.cursor}=x&speed=2")
    assert response.status_code == api.error_status
    body = response.json()
    details = body["error"]["details"] if api is RUNS else body["details"]
    assert details.keys() == {"deltas", api.cursor, "speed"}
    assert details["deltas"] == "must be true or false"


@both
def test_invalid_cursors_are_rejected_with_a_json_error(
    service: Service, api: Api, ended: str
) -> None:
    last = len(service.events(ended))
    for wrong in ("x", "1.5", "-2", "1e3", "٣", "9" * 16):
        for query, header in ((wrong, ""), ("1", wrong)):
            response = service.http.get(
                api.of(ended),
                params={api.cursor: query},
                headers={b"Last-Event-ID": header.encode()} if header else None,
            )
            assert response.status_code == api.error_status, wrong
            assert response.headers["content-type"] == "application/json"
    past = service.http.get(api.of(ended), params={api.cursor: last + 1})
    assert past.status_code == api.error_status
    assert f"exceeds the last sequence, {last}" in past.text


@both
def test_a_cursor_past_the_end_of_an_active_run_waits(
    service: Service, api: Api, waiting: str
) -> None:
    last = len(service.events(waiting))
    with lines_of(service, f"{api.of(waiting)}?{api.cursor}={last + 100}") as (_, lines):
        assert [next(lines), next(lines)] == ["retry: 2000", api.comment]


@both
def test_a_stream_closes_after_the_last_event_and_then_returns_204(
    service: Service, api: Api
) -> None:
    run = service.create({"ticket_subject": "Help!"})
    path = api.of(run["id"])
    with lines_of(service, path) as (_, lines):
        assert next(lines) == "retry: 2000"
        # The first events arrive while the run waits.
        assert next(lines) == "id: 1"
        assert service.http.post(f"/v1/runs/{run['id']}/cancel").status_code == 200
        # The stream ends without the comment about the maximum age.
        rest = list(lines)
    last = len(service.events(run["id"]))
    assert [line for line in rest if line.startswith("id: ")][-1] == f"id: {last}"
    assert (rest[-2][:6], rest[-1]) == ("data: ", "")
    left = service.http.get(path, headers={"Last-Event-ID": str(last)})
    assert (left.status_code, left.content) == (204, b"")
    assert "content-type" not in left.headers


@both
def test_errors_are_sent_before_the_first_byte_of_a_stream(
    service: Service, api: Api, ended: str
) -> None:
    unknown = service.http.get(api.of(new_id()))
    without_key = httpx.get(service.base_url + api.of(ended))
    wrong_key = httpx.get(
        service.base_url + api.of(ended), headers={"Authorization": "Bearer wrong"}
    )
    for response, status in ((unknown, 404), (without_key, 401), (wrong_key, 401)):
        assert (response.status_code, response.headers["content-type"]) == (
            status,
            "application/json",
        )


@both
def test_a_ticket_opens_only_the_streams_of_its_run(
    service: Service, api: Api, ended: str, waiting: str
) -> None:
    ticket = service.http.post(f"{api.of(ended).rpartition('/')[0]}/ticket").json()
    ticket = ticket.get("data", ticket)
    assert urlsplit(ticket["url"]).path == api.of(ended)
    assert parse_qs(urlsplit(ticket["url"]).query) == {"ticket": [ticket["ticket"]]}
    query = {"ticket": ticket["ticket"]}
    assert ids(httpx.get(ticket["url"])) == ids(service.http.get(api.of(ended)))
    for path in (api.of(waiting), f"/v1/runs/{ended}", f"/v1/runs/{ended}/events", "/v1/runs"):
        assert httpx.get(service.base_url + path, params=query).status_code == 401
    # A key has priority over a ticket, even an invalid key.
    wrong = {"Authorization": "Bearer wrong"}
    assert httpx.get(ticket["url"], headers=wrong).status_code == 401


def test_a_stream_without_follow_replays_the_log_and_closes(service: Service, waiting: str) -> None:
    path, last = THREADS.of(waiting), len(service.events(waiting))
    for word in ("false", "0", "False"):
        response = service.http.get(f"{path}?follow={word}")
        assert ids(response) == list(range(1, last + 1))
        assert response.text.endswith("\n\n")
    # After the last event the stream has no events to send, and does not wait.
    assert service.http.get(f"{path}?follow=false&after_seq={last}").text == "retry: 2000\n"
    assert service.http.get(f"{path}?follow=perhaps").status_code == THREADS.error_status


def test_a_client_that_disconnects_does_not_cancel_the_run(service: Service) -> None:
    body = {"input": {"ticket_subject": "Help!"}, "stream": True}
    with service.http.stream("POST", "/v1/runs", json=body) as response:
        run_id = response.headers["x-run-id"]
        assert response.headers["location"] == RUNS.of(run_id)
        assert next(response.iter_lines()) == "retry: 2000"
    run = service.wait(run_id, "awaiting_input")
    assert service.answer(run, feedback="billing").status_code == 200
    service.wait(run_id, "completed")
