"""`GET /v1/runs` and the inbox over HTTP."""

from typing import Any

import httpx
import pytest

from runyard_service.adapters.stores import Stores
from runyard_service.domain.events import DELTA_TYPES
from runyard_service.domain.ids import new_id
from tests.support.service import Service

CLEAR = {"ticket_subject": "Export is broken"}
UNCLEAR = {"ticket_subject": "Help!"}
PARAMETERS = (
    "agent, ended_after, page, page_size, session_id, sort, started_after, started_before, status, "
    "user_id"
)
TIME = "must be a time with a time zone (RFC 3339), such as 2026-06-10T09:15:00Z; write + as %2B"
AGENT = "must be the name of an agent without its version, such as support_triage"
TWICE = {"ticket_subject": "Charged twice", "ticket_body": "I was charged twice. Order #4812."}


def listed(service: Service, **query: Any) -> dict[str, Any]:
    response = service.http.get("/v1/runs", params=query)
    assert response.status_code == 200, response.text
    return response.json()  # type: ignore[no-any-return]


def ids(answer: dict[str, Any]) -> list[str]:
    return [run["id"] for run in answer["data"]]


def inbox(service: Service, **query: Any) -> dict[str, Any]:
    response = service.http.get("/v1/input-requests", params=query)
    assert response.status_code == 200, response.text
    return response.json()  # type: ignore[no-any-return]


def test_the_response_has_the_documented_shape(project: Service) -> None:
    session = new_id()
    run = project.create(CLEAR, user_id="customer-7421", session_id=session)
    answer = listed(project)
    assert answer == {
        "data": [run],
        "pagination": {"page": 1, "page_size": 25, "page_count": 1, "total_count": 1},
    }
    (run_view,) = answer["data"]
    assert set(run_view) == {
        *("id", "app_id", "agent", "model", "status", "started_at", "ended_at", "input", "output"),
        *("user_id", "session_id", "created_by", "usage"),
    }
    assert (run_view["status"], run_view["session_id"]) == ("completed", session)


def test_fields_without_a_value_are_omitted(project: Service) -> None:
    project.create(UNCLEAR)
    (run,) = listed(project)["data"]
    assert set(run) == {
        *("id", "app_id", "agent", "model", "status", "started_at", "input", "created_by"),
        *("input_requests", "usage"),
    }
    assert set(run["usage"]) == {"input_tokens", "output_tokens", "steps"}
    assert run["input_requests"][0]["type"] == "human_feedback"


def test_an_empty_project_has_an_empty_page(project: Service) -> None:
    assert listed(project) == {
        "data": [],
        "pagination": {"page": 1, "page_size": 25, "page_count": 0, "total_count": 0},
    }


def test_pages_are_ordered_from_newest_to_oldest(project: Service) -> None:
    runs = [project.create(CLEAR)["id"] for _ in range(5)]
    pages = [listed(project, page=page, page_size=2) for page in (1, 2, 3, 4)]
    assert [ids(page) for page in pages] == [runs[:2:-1], runs[2:0:-1], runs[:1], []]
    assert pages[3]["pagination"] == {
        "page": 4,
        "page_size": 2,
        "page_count": 3,
        "total_count": 5,
    }
    assert ids(listed(project, sort="started_at")) == runs
    assert ids(listed(project, sort="-ended_at,started_at")) == runs[::-1]


def test_a_run_is_listed_under_its_status(project: Service) -> None:
    done = project.create(CLEAR)["id"]
    asks = project.create(UNCLEAR)
    stopped = project.create(UNCLEAR)["id"]
    project.http.post(f"/v1/runs/{stopped}/cancel")
    assert ids(listed(project, status="completed")) == [done]
    assert ids(listed(project, status="awaiting_input")) == [asks["id"]]
    assert ids(listed(project, status="canceled")) == [stopped]
    assert ids(listed(project, status=["started", "paused", "created"])) == []
    assert ids(listed(project, status=["canceled", "completed"])) == [stopped, done]
    assert ids(listed(project, sort="status")) == [asks["id"], stopped, done]
    assert ids(listed(project, sort="-status")) == [done, stopped, asks["id"]]
    project.answer(asks, feedback="account")
    project.wait(asks["id"], "completed")
    assert ids(listed(project, status="awaiting_input")) == []
    assert ids(listed(project, status="completed")) == [asks["id"], done]


def test_filters_can_be_combined(project: Service) -> None:
    session = new_id()
    first = project.create(CLEAR, user_id="ada", session_id=session)["id"]
    second = project.create(UNCLEAR, user_id="ada", session_id=session)["id"]
    third = project.create(CLEAR, user_id="ada")["id"]
    project.create(CLEAR, user_id="bob", session_id=session)
    assert ids(listed(project, user_id="ada")) == [third, second, first]
    assert ids(listed(project, user_id="ada", session_id=session)) == [second, first]
    assert ids(listed(project, user_id="ada", session_id=session.upper())) == [second, first]
    assert ids(listed(project, user_id="ada", status="completed")) == [third, first]
    assert ids(listed(project, user_id="unknown")) == []
    found = listed(project, user_id="ada", session_id=session, status="awaiting_input")
    assert ids(found) == [second]
    assert found["pagination"]["total_count"] == 1


def test_runs_are_filtered_by_agent_and_time(project: Service) -> None:
    runs = [project.create(CLEAR) for _ in range(3)]
    waiting = project.create(UNCLEAR)
    first, second, third = (run["id"] for run in runs)
    start = runs[1]["started_at"]
    assert ids(listed(project, started_after=start)) == [waiting["id"], third, second]
    assert ids(listed(project, started_before=start)) == [first]
    both = {"started_after": start, "started_before": waiting["started_at"]}
    assert listed(project, **both, page=2, page_size=1) == {
        "data": [runs[1]],
        "pagination": {"page": 2, "page_size": 1, "page_count": 2, "total_count": 2},
    }
    offset = start.replace("Z", "+00:00")
    assert ids(listed(project, started_before=offset, agent="support_triage")) == [first]
    assert ids(listed(project, agent="support_triage", status="awaiting_input")) == [waiting["id"]]
    assert ids(listed(project, agent="unknown")) == []
    assert ids(listed(project, ended_after=runs[1]["ended_at"])) == [third, second]
    ended = {"ended_after": runs[1]["ended_at"], "status": "completed", "agent": "support_triage"}
    assert ids(listed(project, **ended, sort="started_at")) == [second, third]
    assert ids(listed(project, ended_after=start, status="awaiting_input")) == []
    project.http.delete(f"/v1/runs/{second}")
    assert ids(listed(project, agent="support_triage", started_after=start)) == [
        waiting["id"],
        third,
    ]
    assert ids(listed(project, ended_after=start)) == [third]


def test_another_project_sees_no_runs(project: Service, service: Service) -> None:
    run = project.create(UNCLEAR, user_id="shared", session_id=new_id())
    for query in ({}, {"user_id": "shared"}, {"session_id": run["session_id"]}):
        assert run["id"] not in ids(listed(service, page_size=500, **query))
    for query in ({"status": "awaiting_input"}, {"user_id": "shared", "status": "awaiting_input"}):
        assert run["id"] not in ids(listed(service, page_size=500, **query))
    run_ids = [request["run_id"] for request in inbox(service, page_size=500)["data"]]
    assert run["id"] not in run_ids


@pytest.mark.parametrize(
    ("query", "details"),
    [
        (
            "status=done",
            {
                "status": "must be one of: created, started, paused, awaiting_input, "
                "canceled, completed, failed"
            },
        ),
        ("user_id=" + "u" * 257, {"user_id": "must be 1 to 256 characters long"}),
        ("session_id=x", {"session_id": "must be a UUID"}),
        ("session_id=" + "0" * 31, {"session_id": "must be a UUID"}),
        ("agent=support_triage@1", {"agent": AGENT}),
        ("agent=" + "a" * 65, {"agent": AGENT}),
        ("started_after=2026-06-10", {"started_after": TIME}),
        ("started_before=2026-06-10T09:15:00", {"started_before": TIME}),
        ("ended_after=2026-06-10T09:15:00+02:00", {"ended_after": TIME}),
        ("ended_after=2026-02-30T09:15:00Z", {"ended_after": TIME}),
        ("started_after=0000-01-01T00:00:00Z", {"started_after": TIME}),
        (
            "started_after=2026-06-10T09:15:00Z&started_before=2026-06-10T11:15:00%2B02:00",
            {"started_before": "must be after started_after"},
        ),
        ("page=0", {"page": "must be an integer from 1 to 1000000000"}),
        ("page=1.5", {"page": "must be an integer from 1 to 1000000000"}),
        ("page_size=501", {"page_size": "must be an integer from 1 to 500"}),
        ("page_size=-1", {"page_size": "must be an integer from 1 to 500"}),
        ("sort=id", {"sort": "must contain only: started_at, ended_at, status"}),
        ("sort=status,--ended_at", {"sort": "must contain only: started_at, ended_at, status"}),
        (
            "colour=red&pagesize=2",
            {
                "colour": f"is not a known parameter; known: {PARAMETERS}",
                "pagesize": f"is not a known parameter; known: {PARAMETERS};"
                " did you mean 'page_size'?",
            },
        ),
        ("page=1&page=2", {"page": "must appear only once"}),
        ("user_id=a&user_id=b", {"user_id": "must appear only once"}),
        (
            "page=x&session_id=y&limit=3",
            {
                "page": "must be an integer from 1 to 1000000000",
                "session_id": "must be a UUID",
                "limit": f"is not a known parameter; known: {PARAMETERS}",
            },
        ),
    ],
)
def test_an_invalid_query_is_rejected(
    service: Service, query: str, details: dict[str, str]
) -> None:
    response = service.http.get(f"/v1/runs?{query}")
    assert response.status_code == 400
    assert response.json() == {
        "error": {"code": "bad_request", "message": "Bad Request", "details": details}
    }


@pytest.mark.parametrize("path", ["/v1/runs", "/v1/input-requests"])
def test_lists_require_a_key_with_read_scope(
    service: Service, own_stores: Stores, path: str
) -> None:
    assert httpx.get(service.base_url + path).status_code == 401
    secret = f"ry_test_{new_id()}"
    own_stores.access_keys.save(
        secret, project_id="write-only", org_id="org", scopes=frozenset({"runs:write"})
    )
    headers = {"Authorization": f"Bearer {secret}"}
    assert httpx.get(service.base_url + path, headers=headers).status_code == 403


def test_the_inbox_has_every_open_input_request_oldest_first(project: Service) -> None:
    runs = [project.create(body) for body in (UNCLEAR, TWICE, UNCLEAR)]
    answer = inbox(project)
    assert answer == {
        "data": [
            {"run_id": run["id"], **request} for run in runs for request in run["input_requests"]
        ],
        "pagination": {"page": 1, "page_size": 25, "page_count": 1, "total_count": 3},
    }
    assert [request["type"] for request in answer["data"]] == [
        "human_feedback",
        "approval_request",
        "human_feedback",
    ]
    second = inbox(project, page=2, page_size=2)
    assert [request["run_id"] for request in second["data"]] == [runs[2]["id"]]
    assert second["pagination"]["page_count"] == 2
    assert inbox(project, page=9)["data"] == []


def test_a_closed_input_request_leaves_the_inbox(project: Service) -> None:
    answered, canceled, denied = (project.create(body) for body in (UNCLEAR, UNCLEAR, TWICE))

    def waiting() -> list[str]:
        return [request["run_id"] for request in inbox(project)["data"]]

    assert waiting() == [answered["id"], canceled["id"], denied["id"]]
    project.answer(answered, feedback="account")
    assert waiting() == [canceled["id"], denied["id"]]
    project.http.post(f"/v1/runs/{canceled['id']}/cancel")
    assert waiting() == [denied["id"]]
    project.answer(denied, is_approved=False)
    assert waiting() == []
    assert inbox(project)["pagination"]["total_count"] == 0


@pytest.mark.parametrize(
    ("query", "details"),
    [
        ("page=0", {"page": "must be an integer from 1 to 1000000000"}),
        ("status=open", {"status": "is not a known parameter; known: page, page_size"}),
        ("sort=created_at", {"sort": "is not a known parameter; known: page, page_size"}),
    ],
)
def test_an_invalid_query_of_the_inbox_is_rejected(
    service: Service, query: str, details: dict[str, str]
) -> None:
    response = service.http.get(f"/v1/input-requests?{query}")
    assert (response.status_code, response.json()["error"]["details"]) == (400, details)


def events_page(service: Service, run_id: str, **query: Any) -> dict[str, Any]:
    response = service.http.get(f"/v1/runs/{run_id}/events", params=query)
    assert response.status_code == 200, response.text
    return response.json()  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def ended(service: Service) -> str:
    """Return the id of a run that has ended, with deltas in its log."""
    return str(service.create(CLEAR)["id"])


def sequences(page: dict[str, Any]) -> list[int]:
    return [event["sequence"] for event in page["data"]]


def test_events_after_a_sequence_are_a_list_of_their_own(service: Service, ended: str) -> None:
    last = len(service.events(ended))
    page = events_page(service, ended, after_sequence=3, page=2, page_size=2)
    assert sequences(page) == [6, 7]
    assert page["pagination"] == {
        "page": 2,
        "page_size": 2,
        "page_count": -(-(last - 3) // 2),
        "total_count": last - 3,
        "through_sequence": 7,
    }
    newest = events_page(service, ended, after_sequence=3, page_size=2, sort="-sequence")
    assert sequences(newest) == [last, last - 1]
    oldest = events_page(service, ended, after_sequence=3, page_size=500, sort="-sequence")
    assert sequences(oldest) == list(range(last, 3, -1))
    for after in (last, last + 1, 10**15 - 1):
        page = events_page(service, ended, after_sequence=after)
        assert page["data"] == []
        assert page["pagination"]["total_count"] == 0
        assert page["pagination"]["through_sequence"] == after
    for zero in ("", -1, 0):
        assert sequences(events_page(service, ended, after_sequence=zero, page_size=2)) == [1, 2]


@pytest.mark.parametrize("page_size", [1, 2, 7, 500])
def test_a_client_that_polls_without_deltas_sees_each_other_event_once(
    service: Service, ended: str, page_size: int
) -> None:
    events = service.events(ended)
    expected = [event for event in events if event["type"] not in DELTA_TYPES]
    assert 0 < len(expected) < len(events)
    seen, after = [], 0
    while after < len(events):
        page = events_page(
            service, ended, deltas="false", after_sequence=after, page_size=page_size
        )
        assert page["pagination"]["through_sequence"] > after, "a page of deltas also continues"
        seen += page["data"]
        after = page["pagination"]["through_sequence"]
    assert seen == expected


def test_invalid_parameters_of_the_events_are_rejected(service: Service, ended: str) -> None:
    response = service.http.get(f"/v1/runs/{ended}/events?after_sequence=x&deltas=maybe&page=0")
    assert response.status_code == 400
    assert response.json()["error"]["details"] == {
        "after_sequence": "must be an integer of at least 0",
        "deltas": "must be true or false",
        "page": "must be an integer from 1 to 1000000000",
    }
