"""The Threads API over HTTP: documented examples, conversations, errors and lists."""

import json
from typing import Any

import httpx
import pytest

from tests.support.service import Service, assert_whole
from tests.support.threads_service import ThreadsService, assert_rejected

UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def threads(threads_of_tests: ThreadsService) -> ThreadsService:
    """Return the Threads API of the service under test."""
    return threads_of_tests


# --- documented examples --------------------------------------------------------------------------


def test_a_run_is_created_as_documented(threads: ThreadsService) -> None:
    thread_id = threads.thread("Hello")
    response = threads.http.post(f"/threads/{thread_id}/runs")
    assert response.status_code == 201
    created = response.json()
    assert set(created) == {"run_id", "trace_id"}
    assert created["trace_id"] == response.headers["x-trace-id"]
    threads.wait(created["run_id"], "completed")


def test_the_runs_of_a_thread_are_listed_as_documented(threads: ThreadsService) -> None:
    thread_id = threads.thread("Hello")
    run_ids = [threads.start(thread_id) for _ in range(3) if threads.wait_free(thread_id)]
    threads.wait(run_ids[-1], "completed")
    rows = threads.get(f"/threads/{thread_id}/runs")
    assert [row["run_id"] for row in rows] == run_ids[::-1]
    assert all(set(row) == {"run_id", "status", "created_at"} for row in rows)
    assert [row["run_id"] for row in threads.get(f"/threads/{thread_id}/runs", limit=2)] == run_ids[
        :0:-1
    ]
    assert [
        row["run_id"] for row in threads.get(f"/threads/{thread_id}/runs", before=run_ids[1])
    ] == run_ids[:1]


def test_a_row_of_the_global_list_has_every_documented_field(threads: ThreadsService) -> None:
    thread_id = threads.thread("Hello")
    run_id = threads.start(thread_id)
    threads.wait(run_id, "completed")
    (row,) = threads.get("/runs", limit=1)
    assert row["run_id"] == run_id
    assert row["thread_id"] == thread_id
    assert row["model"] == "talker"
    assert row["persona_id"] == "talker@1"
    assert (row["total_input_tokens"], row["total_output_tokens"]) == (1000, 500)
    # 1,000 tokens at 0.25 USD and 500 tokens at 1.25 USD per million.
    assert row["total_cost_usd"] == 0.000875
    assert row["credits_used"] == 1
    assert row["cache_hit_rate"] == 0.4
    assert row["duration_ms"] >= 0
    assert row["completed_at"] >= row["created_at"]
    assert row["failed_at"] is None
    assert set(row) == {
        *("run_id", "org_id", "thread_id", "status", "model", "persona_id", "total_input_tokens"),
        *("total_output_tokens", "total_cost_usd", "duration_ms", "cache_hit_rate"),
        *("credits_used", "created_at", "completed_at", "failed_at", "created_by_user_id"),
        *("created_by_user_name", "created_by_email"),
    }


def test_a_run_is_returned_as_documented(threads: ThreadsService) -> None:
    thread_id = threads.thread("Hello")
    created = threads.http.post(f"/threads/{thread_id}/runs", json={"persona_id": "talker@1"})
    run = threads.wait(created.json()["run_id"], "completed")
    assert set(run) == {
        *("run_id", "org_id", "thread_id", "created_by_user_id", "status", "created_at"),
        *("trace_id", "model", "persona_id"),
    }
    assert (run["model"], run["persona_id"]) == ("talker", "talker@1")
    assert run["trace_id"] == created.json()["trace_id"]


def test_a_run_is_canceled_as_documented(threads: ThreadsService) -> None:
    run_id = threads.start(threads.thread("slowly"))
    client_info = {"last_seen_seq": 3, "client_cancelled_at": "2026-06-10T09:15:21Z"}
    for body in (client_info, None):
        response = threads.http.post(f"/runs/{run_id}:cancel", json=body)
        assert (response.status_code, response.json()) == (200, {"ok": True})
    assert threads.run(run_id)["status"] == "cancelled"
    *_, requested, ended = threads.events(run_id)
    assert requested["type"] == "run.cancel_requested"
    assert client_info.items() <= requested["data"].items()
    assert (ended["type"], ended["data"]) == ("run.cancelled", {})


def test_an_input_is_submitted_as_documented(threads: ThreadsService) -> None:
    thread_id = threads.thread("an input request")
    run_id = threads.start(thread_id)
    assert threads.wait(run_id, "waiting_for_input")["status"] == "waiting_for_input"
    response = threads.http.post(f"/runs/{run_id}/input", json={"content": "the first"})
    assert (response.status_code, response.json()) == (200, {"ok": True})
    threads.wait(run_id, "completed")
    assert threads.get(f"/threads/{thread_id}/messages")[-1]["content"] == "You said the first."


def test_events_are_framed_as_documented(threads: ThreadsService) -> None:
    run_id = threads.start(threads.thread("Hello"))
    response = threads.http.get(f"/runs/{run_id}/events", headers={"Accept": "text/event-stream"})
    assert response.headers["content-type"].startswith("text/event-stream")
    blocks = response.text.removeprefix("retry: 2000\n").strip().split("\n\n")
    events = []
    for seq, block in enumerate(blocks, start=1):
        id_line, data_line = block.split("\n")
        assert id_line == f"id: {seq}"
        events.append(json.loads(data_line.removeprefix("data: ")))
        assert set(events[-1]) == {"seq", "type", "data", "created_at", "run_id"}
        assert (events[-1]["seq"], events[-1]["run_id"]) == (seq, run_id)
    assert events[-1]["type"] == "run.completed"


# --- threads and messages ------------------------------------------------------------------------


def test_a_thread_is_created_renamed_and_deleted(threads: ThreadsService) -> None:
    response = threads.http.post("/threads", json={"title": "Plans"})
    assert response.status_code == 201
    thread = response.json()
    assert set(thread) == {*("id", "org_id", "title", "created_at", "updated_at", "active_run_id")}
    assert (thread["title"], thread["active_run_id"]) == ("Plans", None)
    path = f"/threads/{thread['id']}"
    renamed = threads.http.patch(path, json={"title": "Better plans"}).json()
    assert renamed["title"] == threads.get(path)["title"] == "Better plans"
    assert renamed["updated_at"] >= thread["updated_at"]
    threads.say(thread["id"], "Hello")
    run_id = threads.start(thread["id"])
    threads.wait(run_id, "completed")
    assert threads.http.delete(path).status_code == 204
    assert threads.http.delete(path).status_code == 204
    assert_rejected(threads.http.get(path), 404, "threads.not_found")
    assert_rejected(
        threads.http.post(f"{path}/messages", json={"content": "x"}), 404, "threads.not_found"
    )
    # The run and its log stay.
    assert threads.run(run_id)["status"] == "completed"
    assert threads.events(run_id)[-1]["type"] == "run.completed"


def test_a_thread_with_an_active_run_cannot_be_deleted(threads: ThreadsService) -> None:
    thread_id = threads.thread("slowly")
    run_id = threads.start(thread_id)
    assert threads.get(f"/threads/{thread_id}")["active_run_id"] == run_id
    assert_rejected(threads.http.delete(f"/threads/{thread_id}"), 409, "runs.thread_busy")
    threads.http.post(f"/runs/{run_id}:cancel")
    assert threads.get(f"/threads/{thread_id}")["active_run_id"] is None
    assert threads.http.delete(f"/threads/{thread_id}").status_code == 204


def test_threads_are_listed_newest_first(threads: ThreadsService) -> None:
    made = [threads.thread(title=str(number)) for number in range(5)]
    first = threads.http.get("/threads", params={"limit": 2})
    assert [row["id"] for row in first.json()] == made[:2:-1]
    following = threads.http.get(first.links["next"]["url"])
    assert [row["id"] for row in following.json()] == made[2:0:-1]


def test_a_message_is_stored_unchanged(threads: ThreadsService) -> None:
    thread_id = threads.thread()
    long = "Grüße, 世界! " * 9_000  # Over 100 KB, so it is stored in S3.
    messages = [threads.say(thread_id, content) for content in ("Hello", long)]
    assert set(messages[0]) == {"id", "thread_id", "role", "content", "created_at"}
    assert threads.get(f"/threads/{thread_id}/messages") == messages


def test_messages_are_listed_in_pages(threads: ThreadsService) -> None:
    thread_id = threads.thread(*map(str, range(5)))
    first = threads.http.get(f"/threads/{thread_id}/messages", params={"limit": 3})
    assert [row["content"] for row in first.json()] == ["0", "1", "2"]
    second = threads.http.get(first.links["next"]["url"])
    assert [row["content"] for row in second.json()] == ["3", "4"]
    assert "next" not in second.links


# --- conversations -------------------------------------------------------------------------------


def test_a_run_gets_the_earlier_messages(threads: ThreadsService) -> None:
    thread_id = threads.thread("Hello")
    assert threads.answered(thread_id) == "1: Hello"
    threads.say(thread_id, "And again")
    assert threads.answered(thread_id) == "3: And again"
    messages = threads.get(f"/threads/{thread_id}/messages")
    assert [message["role"] for message in messages] == ["user", "assistant"] * 2


def test_a_structured_output_is_added_as_a_json_message(threads: ThreadsService) -> None:
    output = threads.answered(threads.thread("Export is broken"), persona_id="support_triage")
    assert json.loads(output)["category"] == "technical"


def test_a_failed_run_adds_no_message_and_releases_the_thread(threads: ThreadsService) -> None:
    thread_id = threads.thread("please fail")
    run_id = threads.start(thread_id)
    assert threads.wait(run_id)["status"] == "failed"
    assert threads.get(f"/threads/{thread_id}")["active_run_id"] is None
    assert len(threads.get(f"/threads/{thread_id}/messages")) == 1
    failed = threads.events(run_id)[-1]
    assert failed["data"]["error_class"] == "model_rejected"
    (row,) = threads.get("/runs", limit=1, status="failed")
    assert row["run_id"] == run_id
    assert row["failed_at"]


def test_a_thread_has_at_most_one_active_run(threads: ThreadsService) -> None:
    thread_id = threads.thread("slowly")
    run_id = threads.start(thread_id)
    rejected = threads.http.post(f"/threads/{thread_id}/runs")
    assert run_id in str(assert_rejected(rejected, 409, "runs.thread_busy"))
    # A message sent in the meantime is for the next run.
    threads.say(thread_id, "Hurry up")
    threads.http.post(f"/runs/{run_id}:cancel")
    assert threads.answered(thread_id) == "2: Hurry up"


def test_a_run_can_start_in_an_empty_thread(threads: ThreadsService) -> None:
    assert threads.answered(threads.thread()) == "0: "


def test_a_repeated_create_starts_one_run(threads: ThreadsService) -> None:
    thread_id = threads.thread("Hello")
    headers = {"Idempotency-Key": f"once-{thread_id}"}
    answers = [threads.http.post(f"/threads/{thread_id}/runs", headers=headers) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert answers[1].headers["idempotency-replayed"] == "true"
    assert len(threads.get(f"/threads/{thread_id}/runs")) == 1


# --- answers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("approve", "Charged."),
        (" Deny ", "Not charged."),
        ('{"is_approved": true, "params": {"amount": 7}}', "Charged."),
        ('{"is_approved": false, "feedback": "too much"}', "Not charged."),
    ],
)
def test_an_approval_is_a_text_or_json(threads: ThreadsService, content: str, message: str) -> None:
    thread_id = threads.thread("charge")
    run_id = threads.start(thread_id)
    threads.wait(run_id, "waiting_for_input")
    assert threads.http.post(f"/runs/{run_id}/input", json={"content": content}).is_success
    threads.wait(run_id, "completed")
    assert threads.get(f"/threads/{thread_id}/messages")[-1]["content"] == message
    provided = [one for one in threads.events(run_id) if one["type"] == "run.input_provided"]
    assert provided[0]["data"]["is_approved"] is (message == "Charged.")


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ("perhaps", "content"),
        ("{broken", "content"),
        ('{"feedback": "why"}', "content.is_approved"),
        ('{"is_approved": true, "params": {"amount": 1000}}', "content.params.amount"),
        ('{"is_approved": true, "params": {"order_id": "b"}}', "content.params.order_id"),
    ],
)
def test_an_invalid_approval_is_rejected(threads: ThreadsService, content: str, field: str) -> None:
    run_id = threads.start(threads.thread("charge"))
    threads.wait(run_id, "waiting_for_input")
    response = threads.http.post(f"/runs/{run_id}/input", json={"content": content})
    assert list(assert_rejected(response, 422, "validation.error")) == [field]
    threads.http.post(f"/runs/{run_id}:cancel")


def test_a_person_can_decline_to_answer_in_both_apis(threads: ThreadsService) -> None:
    run_id = threads.start(threads.thread("ask"), persona_id="asker")
    threads.wait(run_id, "waiting_for_input")
    path = f"/runs/{run_id}/input"
    response = threads.http.post(path, json={"content": "x", "declined": True})
    assert_rejected(response, 422, "validation.error")
    assert_rejected(threads.http.post(path, json={}), 422, "validation.error")
    first, second = (_decline(threads, run_id, api) for api in ("threads", "runs"))
    assert first != second
    provided = [
        event["data"]
        for event in threads.events(run_id, follow=False)
        if event["type"] == "run.input_provided"
    ]
    assert provided == [
        {"request_id": id_, "content": None, "declined": True} for id_ in (first, second)
    ]
    threads.http.post(f"/runs/{run_id}:cancel")


def _decline(threads: ThreadsService, run_id: str, api: str) -> str:
    """Decline the open input request of the run, and return its id."""
    threads.wait(run_id, "waiting_for_input")
    events = threads.events(run_id, follow=False)
    asked = [event["data"] for event in events if event["type"] == "run.waiting_for_input"]
    request_id = str(asked[-1]["request_id"])
    if api == "threads":
        response = threads.http.post(f"/runs/{run_id}/input", json={"declined": True})
    else:
        response = httpx.post(
            f"{threads.base_url}/v1/runs/{run_id}/input",
            headers={"Authorization": f"Bearer {threads.access_key}"},
            json={
                "type": "human_feedback",
                "data": {"request_id": request_id, "declined": True},
            },
        )
    assert response.status_code == 200, response.text
    return request_id


def test_an_answer_must_name_one_of_several_input_requests(threads: ThreadsService) -> None:
    run_id = threads.start(threads.thread("two input requests"))
    threads.wait(run_id, "waiting_for_input")
    path = f"/runs/{run_id}/input"
    rejected = threads.http.post(path, json={"content": "x"})
    details = assert_rejected(rejected, 409, "runs.input_ambiguous")
    request_ids = [
        event["data"]["request_id"]
        for event in threads.events(run_id, follow=False)
        if event["type"] == "run.waiting_for_input"
    ]
    assert all(request_id in details["request_id"] for request_id in request_ids)
    named = {"content": "x", "request_id": request_ids[1]}
    for _ in range(2):  # The same answer is accepted again.
        assert threads.http.post(path, json=named).status_code == 200
    other = threads.http.post(path, json={**named, "content": "y"})
    assert_rejected(other, 409, "runs.not_active")
    # The last open input request needs no name.
    assert threads.http.post(path, json={"content": "z"}).status_code == 200
    threads.wait(run_id, "completed")
    assert_rejected(threads.http.post(path, json={"content": "z"}), 409, "runs.not_active")
    unknown = threads.http.post(path, json={"content": "z", "request_id": UNKNOWN_ID})
    assert "request_id" in assert_rejected(unknown, 422, "validation.error")


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", "/threads", {"title": 1}, "title"),
        ("POST", "/threads", {"title": "x" * 501}, "title"),
        ("POST", "/threads", {"name": "x"}, "name"),
        ("POST", "/threads/{thread}/messages", {}, "content"),
        ("POST", "/threads/{thread}/messages", {"content": " \n"}, "content"),
        ("POST", "/threads/{thread}/messages", {"content": "x" * 262_145}, "content"),
        ("POST", "/threads/{thread}/runs", {"persona_id": "unknown"}, "persona_id"),
        ("POST", "/threads/{thread}/runs", {"persona_id": "talker@9"}, "persona_id"),
        ("POST", "/threads/{thread}/runs", {"route_id": "nowhere"}, "route_id"),
        ("POST", "/threads/{thread}/runs", {"model": "nothing"}, "model"),
        ("POST", "/threads/{thread}/runs", {"reasoning_mode": "deep"}, "reasoning_mode"),
        ("POST", "/runs/{run}/input", {"content": ""}, "content"),
        ("POST", "/runs/{run}/input", {"content": "é" * 16_385}, "content"),
        ("POST", "/runs/{run}:cancel", {"last_seen_seq": -1}, "last_seen_seq"),
        ("GET", "/runs?limit=0", None, "limit"),
        ("GET", "/runs?limit=201", None, "limit"),
        ("GET", "/runs?limit=x", None, "limit"),
        ("GET", "/runs?before=x", None, "before"),
        ("GET", f"/runs?before={UNKNOWN_ID}", None, "before"),
        ("GET", "/runs?status=canceled", None, "status"),
        ("GET", "/runs?page=1", None, "page"),
        ("GET", "/threads?before=x", None, "before"),
        ("GET", "/runs/{run}/events?after_seq=-2", None, "after_seq"),
        ("GET", "/runs/{run}/events?follow=maybe", None, "follow"),
        ("GET", "/runs/{run}/events?after_seq=1000", None, "after_seq"),
    ],
)
def test_an_invalid_field_is_named(
    threads: ThreadsService, method: str, path: str, body: Any, field: str
) -> None:
    thread_id = threads.thread("Hello")
    run_id = threads.start(thread_id)
    threads.wait(run_id, "completed")
    path = path.format(thread=thread_id, run=run_id)
    details = assert_rejected(
        threads.http.request(method, path, json=body), 422, "validation.error"
    )
    assert field in details


def test_an_input_of_32_kilobytes_is_accepted(threads: ThreadsService) -> None:
    run_id = threads.start(threads.thread("an input request"))
    threads.wait(run_id, "waiting_for_input")
    body = {"content": "é" * 16_384}
    assert threads.http.post(f"/runs/{run_id}/input", json=body).status_code == 200
    threads.wait(run_id, "completed")


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        ("", "auth.missing_token"),
        ("Basic x", "auth.missing_token"),
        ("Bearer wrong", "auth.invalid_token"),
    ],
)
def test_a_key_is_required(threads: ThreadsService, authorization: str, code: str) -> None:
    headers = {"Authorization": authorization}
    for path in ("/threads", f"/runs/{UNKNOWN_ID}", f"/runs/{UNKNOWN_ID}/events", "/personas"):
        assert_rejected(threads.http.get(path, headers=headers), 401, code)


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", f"/threads/{UNKNOWN_ID}", "threads.not_found"),
        ("GET", f"/threads/{UNKNOWN_ID}/messages", "threads.not_found"),
        ("POST", f"/threads/{UNKNOWN_ID}/runs", "threads.not_found"),
        ("GET", "/threads/x/runs", "threads.not_found"),
        ("GET", f"/runs/{UNKNOWN_ID}", "runs.not_found"),
        ("GET", f"/runs/{UNKNOWN_ID}/events", "runs.not_found"),
        ("POST", f"/runs/{UNKNOWN_ID}:cancel", "runs.not_found"),
        ("POST", f"/runs/{UNKNOWN_ID}/ticket", "runs.not_found"),
        ("GET", "/nothing", "requests.no_such_route"),
    ],
)
def test_an_unknown_resource_is_not_found(
    threads: ThreadsService, method: str, path: str, code: str
) -> None:
    assert_rejected(threads.http.request(method, path), 404, code)


def test_the_error_of_a_wrong_method_names_the_allowed_methods(threads: ThreadsService) -> None:
    response = threads.http.put("/threads")
    assert_rejected(response, 405, "requests.method_not_allowed")
    assert response.headers["allow"] == "GET, HEAD, POST"


# --- lists and streams ---------------------------------------------------------------------------


def test_the_list_can_be_filtered_by_status(threads: ThreadsService) -> None:
    waiting = threads.start(threads.thread("an input request"))
    threads.wait(waiting, "waiting_for_input")
    done = threads.start(threads.thread("Hello"))
    threads.wait(done, "completed")

    def listed(status: str) -> set[str]:
        return {row["run_id"] for row in threads.get("/runs", status=status, limit=50)}

    assert waiting in listed("running")
    assert waiting in listed("waiting_for_input")
    assert waiting not in listed("completed")
    assert done in listed("completed")
    assert done not in listed("running")
    threads.http.post(f"/runs/{waiting}:cancel")
    assert waiting in listed("cancelled")


def test_a_stream_continues_after_its_cursor(threads: ThreadsService) -> None:
    run_id = threads.start(threads.thread("Hello"))
    threads.wait(run_id, "completed")
    events = threads.events(run_id)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert threads.events(run_id, after_seq=3) == events[3:]
    path = f"/runs/{run_id}/events"
    # The header has priority.
    response = threads.http.get(f"{path}?after_seq=1", headers={"Last-Event-ID": "4"})
    assert response.text.count("data: ") == len(events) - 4
    # No events are left: the status 204 stops a browser's EventSource.
    assert threads.http.get(f"{path}?after_seq={len(events)}").status_code == 204


def test_a_stream_without_follow_closes_after_the_last_event(threads: ThreadsService) -> None:
    run_id = threads.start(threads.thread("an input request"))
    threads.wait(run_id, "waiting_for_input")
    events = threads.events(run_id, follow=False)
    assert events[-1]["type"] == "run.paused"
    threads.http.post(f"/runs/{run_id}:cancel")


def test_a_ticket_opens_the_stream_without_a_key(threads: ThreadsService) -> None:
    run_id = threads.start(threads.thread("Hello"))
    threads.wait(run_id, "completed")
    response = threads.http.post(f"/runs/{run_id}/ticket")
    assert response.status_code == 201
    ticket = response.json()
    assert set(ticket) == {"ticket", "expires_at", "url"}
    assert "run.completed" in httpx.get(ticket["url"], timeout=30).text


# --- one log, two APIs ---------------------------------------------------------------------------


def test_a_run_of_a_thread_is_complete_in_the_runs_api(
    threads: ThreadsService, service: Service
) -> None:
    thread_id = threads.thread("charge")
    run_id = threads.start(thread_id)
    threads.wait(run_id, "waiting_for_input")
    run = service.run(run_id)
    assert run["status"] == "awaiting_input"
    assert run["input"] == {"thread_id": thread_id, "message_count": 1, "content": "charge"}
    assert service.answer(run, is_approved=True).status_code == 200
    threads.wait(run_id, "completed")
    assert_same_events(service.events(run_id), threads.events(run_id))
    listed = service.http.get("/v1/runs", params={"page_size": 1}).json()["data"]
    assert listed[0]["id"] == run_id
    assert listed[0]["input"]["content"] == "charge"


def test_a_run_of_the_runs_api_is_complete_in_the_threads_api(
    threads: ThreadsService, service: Service
) -> None:
    run = service.create({"ticket_subject": "Help!"}, user_id="customer-7421")
    assert threads.run(run["id"])["thread_id"] is None
    assert threads.run(run["id"])["created_by_user_id"] == "customer-7421"
    threads.wait(run["id"], "waiting_for_input")
    body = {"content": "account"}
    assert threads.http.post(f"/runs/{run['id']}/input", json=body).status_code == 200
    threads.wait(run["id"], "completed")
    assert service.run(run["id"])["output"]["category"] == "account"
    assert_same_events(service.events(run["id"]), threads.events(run["id"]))
    (row,) = threads.get("/runs", limit=1)
    assert row["run_id"] == run["id"]


def assert_same_events(logged: list[dict[str, Any]], views: list[dict[str, Any]]) -> None:
    """Assert the same sequences and times, and the same data for types with the same name."""
    assert_whole(logged)
    assert [(one["sequence"], one["timestamp"]) for one in logged] == [
        (view["seq"], view["created_at"]) for view in views
    ]
    for one, other in zip(logged, views, strict=True):
        if one["type"] == "agent.response.delta":
            assert (other["type"], other["data"]["content"]) == (
                "message.delta",
                one["data"]["delta"],
            )
        if one["type"] == "agent.tool_call.completed":
            assert (other["type"], other["data"]["result"]) == (
                "tool.result",
                one["data"]["result"],
            )
        if one["type"].startswith("run.") and one["type"] != "run.canceled":
            assert other["type"] == one["type"]


# --- root paths ----------------------------------------------------------------------------------


def test_the_root_serves_unambiguous_paths_of_the_threads_api(threads: ThreadsService) -> None:
    root = ThreadsService(threads.base_url, threads.access_key, base_path="/v1")
    thread_id = root.thread("an input request")
    run_id = root.start(thread_id)
    path = f"/runs/{run_id}"
    threads.wait(run_id, "waiting_for_input")
    sse = {"Accept": "text/event-stream"}
    # Responses of the Threads API.
    assert root.get(f"/threads/{thread_id}")["active_run_id"] == run_id
    assert root.get(f"/threads/{thread_id}/runs")[0]["run_id"] == run_id
    assert root.get("/runs", limit=1)[0]["run_id"] == run_id
    assert isinstance(root.get("/runs", before=run_id), list)
    assert root.get("/personas")
    assert root.get("/routes")
    events = root.http.get(f"{path}/events?follow=false", headers=sse)
    assert events.headers["content-type"].startswith("text/event-stream")
    assert root.http.post(f"{path}/input", json={"content": "x"}).json() == {"ok": True}
    assert root.http.post(f"{path}:cancel").json() == {"ok": True}
    assert_rejected(root.http.get("/threads/x"), 404, "threads.not_found")
    assert_rejected(root.http.post(f"/runs/{UNKNOWN_ID}:cancel"), 404, "runs.not_found")
    # Responses of the Runs API.
    assert root.get(path)["data"]["id"] == run_id
    assert root.get("/runs")["pagination"]
    assert root.get("/runs", page_size=1)["pagination"]
    assert root.get(f"{path}/events")["pagination"]
    body = {"type": "human_feedback", "data": {"request_id": UNKNOWN_ID, "feedback": "x"}}
    assert root.http.post(f"{path}/input", json=body).json()["error"]["code"] == "bad_request"
    assert root.http.post(f"{path}/input", json={}).json()["error"]["code"] == "bad_request"
    assert root.http.post(f"{path}/input", content=b"{").json()["error"]["code"] == "bad_request"
    assert root.http.post(f"{path}/cancel").json() == {"message": "canceled"}
    root.close()


# --- personas and routes -------------------------------------------------------------------------


def test_personas_and_routes_are_listed(threads: ThreadsService) -> None:
    personas = {one["persona_id"]: one for one in threads.get("/personas")}
    assert personas["talker@1"] == {
        "persona_id": "talker@1",
        "persona_key": "talker",
        "version": "1",
        "description": "Says back what it heard.",
        "route_id": "test-talker",
        "model": "talker",
        "is_default": False,
    }
    assert [one["persona_key"] for one in personas.values() if one["is_default"]] == ["assistant"]
    routes = {one["route_id"]: one for one in threads.get("/routes")}
    assert routes["test-talker"] == {
        "route_id": "test-talker",
        "provider": "scripted",
        "model": "talker",
    }
