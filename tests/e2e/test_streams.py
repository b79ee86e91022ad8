"""The streams of both APIs, sentence by sentence of what is promised of them."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from runyard_service.domain.ids import new_id
from tests.support.service import Service

TICKET = {"ticket_subject": "Export is broken"}


@dataclass(frozen=True)
class Api:
    """Where an API has a run's stream, and what its parts are called."""

    path: str
    cursor: str
    comment: str
    refusal: int

    def of(self, run_id: str) -> str:
        return self.path.format(run_id)


RUNS = Api("/v1/runs/{}/stream", "after_sequence", ": heartbeat", 400)
THREADS = Api("/threads/v1/runs/{}/events", "after_seq", ": ping", 422)
both = pytest.mark.parametrize("api", [RUNS, THREADS], ids=["runs", "threads"])


@pytest.fixture(scope="module")
def ended(service: Service) -> str:
    """A run that has ended; its id."""
    return str(service.create(TICKET)["id"])


@pytest.fixture(scope="module")
def waiting(service: Service) -> Iterator[str]:
    """A run that waits for a person; its id."""
    run = service.create({"ticket_subject": "Help!"})
    yield str(run["id"])
    service.http.post(f"/v1/runs/{run['id']}/cancel")


@contextmanager
def lines_of(
    service: Service, path: str, **headers: str
) -> Iterator[tuple[httpx.Response, Iterator[str]]]:
    """A stream that is open, and its lines as they come."""
    with service.http.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200, answer.read()
        yield answer, answer.iter_lines()


def ids(answer: httpx.Response) -> list[int]:
    return [int(found) for found in re.findall(r"^id: (\d+)$", answer.text, re.MULTILINE)]


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
    for place, frame in enumerate(frames, start=1):
        number, data, *end = frame.split("\n")
        view = json.loads(data.removeprefix("data: "))
        assert (number, view["seq"], view["run_id"]) == (str(place), place, ended)
        assert set(view) == {"seq", "type", "data", "created_at", "run_id"}
        assert end == ["", ""]


@both
def test_the_head_keeps_everybody_from_holding_it_back(
    service: Service, api: Api, ended: str, waiting: str
) -> None:
    everything = "gzip, deflate, br, zstd"
    for path in (api.of(ended), api.of(waiting)):
        with lines_of(service, path, **{"Accept-Encoding": everything}) as (answer, _):
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert answer.headers["cache-control"] == "no-cache, no-transform"
            assert answer.headers["x-accel-buffering"] == "no"
            assert "content-encoding" not in answer.headers
            assert answer.headers["x-request-id"]


@both
@pytest.mark.parametrize("accept", ["application/json", "text/html", "*/*", "nonsense"])
def test_accept_is_not_looked_at(service: Service, api: Api, ended: str, accept: str) -> None:
    answer = service.http.get(api.of(ended), headers={"Accept": accept})
    assert answer.headers["content-type"].startswith("text/event-stream")


@both
def test_silence_is_broken_by_single_comment_lines(
    service: Service, api: Api, waiting: str
) -> None:
    last = len(service.events(waiting))
    with lines_of(service, f"{api.of(waiting)}?{api.cursor}={last}") as (_, lines):
        assert next(lines) == "retry: 2000"
        # No blank line behind them: some clients would take it for an event.
        assert [next(lines), next(lines)] == [api.comment] * 2


@both
def test_every_way_to_say_where_to_begin(service: Service, api: Api, ended: str) -> None:
    everything = list(range(1, len(service.events(ended)) + 1))

    def begun(query: str, **headers: str) -> list[int]:
        return ids(service.http.get(api.of(ended) + query, headers=headers))

    for zero in ("", f"?{api.cursor}=", f"?{api.cursor}=-1", f"?{api.cursor}=0"):
        assert begun(zero) == everything
        assert begun(zero, **{"Last-Event-ID": "2"}) == everything[2:]
    for zero in ("", "-1", "0"):
        assert begun(f"?{api.cursor}=3", **{"Last-Event-ID": zero}) == everything
    assert begun(f"?{api.cursor}=3") == everything[3:]
    assert begun(f"?{api.cursor}=9", **{"Last-Event-ID": "4"}) == everything[4:]


@both
def test_cursors_that_make_no_sense_are_refused_as_json(
    service: Service, api: Api, ended: str
) -> None:
    last = len(service.events(ended))
    for wrong in ("x", "1.5", "-2", "1e3", "٣", "9" * 16):
        for query, header in ((wrong, ""), ("1", wrong)):
            answer = service.http.get(
                api.of(ended),
                params={api.cursor: query},
                headers={b"Last-Event-ID": header.encode()} if header else None,
            )
            assert answer.status_code == api.refusal, wrong
            assert answer.headers["content-type"] == "application/json"
    past = service.http.get(api.of(ended), params={api.cursor: last + 1})
    assert past.status_code == api.refusal
    assert f"exceeds the last sequence, {last}" in past.text


@both
def test_a_cursor_past_the_end_of_a_run_at_work_waits(
    service: Service, api: Api, waiting: str
) -> None:
    last = len(service.events(waiting))
    with lines_of(service, f"{api.of(waiting)}?{api.cursor}={last + 100}") as (_, lines):
        assert [next(lines), next(lines)] == ["retry: 2000", api.comment]


@both
def test_a_stream_closes_behind_the_end_and_then_there_is_nothing_left(
    service: Service, api: Api
) -> None:
    run = service.create({"ticket_subject": "Help!"})
    path = api.of(run["id"])
    with lines_of(service, path) as (_, lines):
        assert next(lines) == "retry: 2000"
        # The first events are here while the run stands still.
        assert next(lines) == "id: 1"
        assert service.http.post(f"/v1/runs/{run['id']}/cancel").status_code == 200
        # Ends by itself, without the comment of age.
        rest = list(lines)
    last = len(service.events(run["id"]))
    assert [line for line in rest if line.startswith("id: ")][-1] == f"id: {last}"
    assert (rest[-2][:6], rest[-1]) == ("data: ", "")
    left = service.http.get(path, headers={"Last-Event-ID": str(last)})
    assert (left.status_code, left.content) == (204, b"")
    assert "content-type" not in left.headers


@both
def test_refusals_come_before_the_first_byte(service: Service, api: Api, ended: str) -> None:
    unknown = service.http.get(api.of(new_id()))
    nobody = httpx.get(service.base_url + api.of(ended))
    stranger = httpx.get(
        service.base_url + api.of(ended), headers={"Authorization": "Bearer wrong"}
    )
    for answer, status in ((unknown, 404), (nobody, 401), (stranger, 401)):
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")


@both
def test_a_ticket_opens_the_streams_of_its_run_and_nothing_else(
    service: Service, api: Api, ended: str, waiting: str
) -> None:
    made = service.http.post(f"{api.of(ended).rpartition('/')[0]}/ticket").json()
    made = made.get("data", made)
    assert urlsplit(made["url"]).path == api.of(ended)
    assert parse_qs(urlsplit(made["url"]).query) == {"ticket": [made["ticket"]]}
    query = {"ticket": made["ticket"]}
    assert ids(httpx.get(made["url"])) == ids(service.http.get(api.of(ended)))
    for path in (api.of(waiting), f"/v1/runs/{ended}", f"/v1/runs/{ended}/events", "/v1/runs"):
        assert httpx.get(service.base_url + path, params=query).status_code == 401
    # A key counts more than a ticket, also a wrong one.
    wrong = {"Authorization": "Bearer wrong"}
    assert httpx.get(made["url"], headers=wrong).status_code == 401


def test_what_does_not_follow_replays_and_closes(service: Service, waiting: str) -> None:
    path, last = THREADS.of(waiting), len(service.events(waiting))
    for word in ("false", "0", "False"):
        answer = service.http.get(f"{path}?follow={word}")
        assert ids(answer) == list(range(1, last + 1))
        assert answer.text.endswith("\n\n")
    # At the end of what is there it has nothing to send, and does not wait.
    assert service.http.get(f"{path}?follow=false&after_seq={last}").text == "retry: 2000\n"
    assert service.http.get(f"{path}?follow=perhaps").status_code == THREADS.refusal


def test_a_client_that_goes_away_does_not_cancel_the_run(service: Service) -> None:
    body = {"input": {"ticket_subject": "Help!"}, "stream": True}
    with service.http.stream("POST", "/v1/runs", json=body) as answer:
        run_id = answer.headers["x-run-id"]
        assert answer.headers["location"] == RUNS.of(run_id)
        assert next(answer.iter_lines()) == "retry: 2000"
    run = service.wait(run_id, "awaiting_input")
    assert service.answer(run, feedback="billing").status_code == 200
    service.wait(run_id, "completed")
