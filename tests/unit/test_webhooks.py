"""Webhooks without a network: filters, ids, signatures, addresses and pauses."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from standardwebhooks import Webhook as Verifier

from runyard_service.api.openapi import document
from runyard_service.application.webhooks.webhook_urls import url_issue
from runyard_service.domain.clock import now, parse, timestamp, timestamp_in
from runyard_service.domain.events import EVENT_TYPES, LIFECYCLE_TYPES, Event
from runyard_service.domain.ids import parse_id, timed_id
from runyard_service.domain.notifications import notification_for, ping
from runyard_service.domain.runs import Run
from runyard_service.domain.webhooks import (
    MAX_STORED_ATTEMPTS,
    Attempt,
    Delivery,
    Webhook,
    is_pattern,
    new_secret,
    signed_headers,
)
from runyard_service.settings import Settings

AT = "2026-11-24T09:00:00.123Z"
WEBHOOK = Webhook(
    id="w", org_id="o", project_id="p", url="https://a.example", created_at=AT, updated_at=AT
)
RUN = Run(
    id="8c2c8e2e-2f0a-4f4e-9f4f-6e1a52f0a001",
    project_id="p",
    org_id="o",
    app_id="a",
    agent="support_triage@1",
    definition_digest="d",
    input={"secret": "CONTENT"},
    user_id="customer-7421",
    started_at=AT,
)


def event(type_: str, **data: Any) -> Event:
    return Event(id="e", type=type_, sequence=7, timestamp=AT, data=data)


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["*"], set(LIFECYCLE_TYPES)),
        (["run.*"], {one for one in LIFECYCLE_TYPES if one.startswith("run.")}),
        (["agent.human_feedback.*"], {one for one in LIFECYCLE_TYPES if "human" in one}),
        (["run.failed", "run.failed"], {"run.failed"}),
        (["run"], set()),
        (["run*"], set()),
        (["un.*"], set()),
    ],
)
def test_a_filter_matches_types_and_prefixes(patterns: list[str], expected: set[str]) -> None:
    webhook = WEBHOOK.model_copy(update={"events": tuple(patterns)})
    assert {kind for kind in LIFECYCLE_TYPES if webhook.subscribes_to(kind)} == expected
    assert all(is_pattern(pattern) == bool(expected) for pattern in patterns)
    assert not any(
        webhook.model_copy(update={"enabled": False}).subscribes_to(kind) for kind in expected
    )


def test_the_contract_names_exactly_the_valid_patterns() -> None:
    schema = document()["components"]["schemas"]["WebhookEvents"]
    named = set(schema["items"]["enum"])
    prefixes = {
        ".".join(parts[:length]) + ".*"
        for parts in (one.split(".") for one in LIFECYCLE_TYPES)
        for length in range(1, len(parts))
    }
    assert named == {"*", *LIFECYCLE_TYPES, *prefixes}


def test_notifications_never_contain_model_content() -> None:
    notified = LIFECYCLE_TYPES
    assert not [
        kind for kind in notified if "delta" in kind or "message" in kind or "tool_call" in kind
    ]
    of_runs = {kind for kind in EVENT_TYPES if kind.startswith("run.")}
    assert of_runs - notified == {"run.retrying"}


def test_a_delivery_has_an_id_that_sorts_by_time() -> None:
    first = datetime(2026, 11, 24, 9, tzinfo=UTC)
    ids = [timed_id(first + timedelta(milliseconds=step), "w", "e") for step in range(300)]
    assert ids == sorted(ids)
    assert len(set(ids)) == 300
    assert all(parse_id(one) and one[14] == "7" and one[19] in "89ab" for one in ids)
    assert timed_id(first, "w", "e") == ids[0] != timed_id(first, "w", "f")


def test_the_standard_library_for_webhooks_verifies_a_signature() -> None:
    old, new = new_secret("1"), new_secret("2")
    body = json.dumps({"type": "run.completed", "text": "ä"}, ensure_ascii=False)
    headers = signed_headers("id-1", body, [new, old], now())
    for secret in (old, new):
        assert Verifier(secret.text).verify(body, headers) == json.loads(body)
    assert old.text != new.text


def test_a_secret_is_invalid_after_its_end() -> None:
    secret = new_secret("1")
    assert secret.is_valid()
    assert secret.model_copy(update={"expires_at": timestamp_in(60)}).is_valid()
    assert not secret.model_copy(update={"expires_at": timestamp_in(-1)}).is_valid()


@pytest.mark.parametrize(
    ("type_", "data", "facts"),
    [
        (
            "run.completed",
            {"status": "completed", "output": {"x": "CONTENT"}, "usage": {"steps": 3}},
            {"status": "completed", "usage": {"steps": 3}},
        ),
        (
            "run.failed",
            {"status": "failed", "error": {"code": "model_rejected", "message": "CONTENT"}},
            {"status": "failed", "error_code": "model_rejected"},
        ),
        (
            "approval_request.created",
            {"id": "q", "prompt": "CONTENT", "params": {"x": "CONTENT"}, "expires_at": AT},
            {"request_id": "q", "request_type": "approval_request", "expires_at": AT},
        ),
        (
            "approval_request.resolved",
            {"id": "q", "is_approved": False, "feedback": "CONTENT", "answered_by": "key_1"},
            {
                "request_id": "q",
                "request_type": "approval_request",
                "is_approved": False,
                "answered_by": "key_1",
            },
        ),
        (
            "agent.human_feedback.received",
            {"id": "q", "feedback": "CONTENT", "answered_by": "key_1"},
            {"request_id": "q", "request_type": "human_feedback", "answered_by": "key_1"},
        ),
    ],
)
def test_a_notification_has_facts_and_no_content(
    type_: str, data: dict[str, Any], facts: dict[str, Any]
) -> None:
    notification = notification_for(event(type_, **data), RUN)
    always = {
        "event_id": "e",
        "sequence": 7,
        "org_id": "o",
        "project_id": "p",
        "run_id": RUN.id,
        "agent": "support_triage@1",
        "user_id": "customer-7421",
    }
    assert notification.data == always | facts
    assert "CONTENT" not in notification.text()


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/",
        "ftp://hooks.example.com/",
        "https://",
        "https:///path",
        "https://user:word@hooks.example.com/",
        "https://hooks.example.com/a b",
        "https://hooks.example.com/ä",
        "https://hooks.example.com:99999/",
        "https://[::1",
        "https://localhost/",
        "https://api.localhost/",
        "https://db.internal/",
        "https://hooks.example.com./",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://1.0x1/",
        "https://127.0.0.1/",
        "https://10.1.2.3/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[fd00::1]/",
    ],
)
def test_a_webhook_address_is_rejected(url: str) -> None:
    assert url_issue(url, ("10.1.2.3:8443",)) is not None


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.com/runyard?key=1",
        "https://8.8.8.8:8443/",
        "http://127.0.0.1:9000/hook",
        "https://127.0.0.1:9000/hook",
    ],
)
def test_a_webhook_address_is_accepted(url: str) -> None:
    assert url_issue(url, ("127.0.0.1:9000",)) is None


def test_the_pauses_take_a_day() -> None:
    pauses = Settings().webhook_retry_seconds
    assert 23 * 3600 <= sum(pauses) <= 25 * 3600
    assert list(pauses) == sorted(pauses)


FAILED = Attempt(at=AT, duration_ms=1, status_code=500)
DELIVERED = Attempt(at=AT, duration_ms=1, status_code=204)


def failing_for(**duration: int) -> Webhook:
    """Return the endpoint that has failed for this time."""
    return WEBHOOK.model_copy(update={"failing_since": timestamp(now() - timedelta(**duration))})


def test_the_first_failed_attempt_is_remembered_and_the_next_success_forgets_it() -> None:
    at = now()
    assert WEBHOOK.health_change(DELIVERED, at) == {}
    assert WEBHOOK.health_change(FAILED, at) == {"failing_since": timestamp(at)}
    failing = failing_for(minutes=59)
    assert failing.health_change(FAILED, at) == {}
    assert failing.health_change(DELIVERED, at) == {"failing_since": None, "paused_until": None}


@pytest.mark.parametrize(
    ("failing", "pause"),
    [
        ({"hours": 1}, timedelta(minutes=10)),
        ({"hours": 6}, timedelta(hours=1)),
        ({"hours": 71}, timedelta(hours=6)),
    ],
)
def test_an_endpoint_that_fails_for_an_hour_is_paused(
    failing: dict[str, int], pause: timedelta
) -> None:
    webhook, at = failing_for(**failing), now()  # In this order, the full hour is over.
    change = webhook.health_change(FAILED, at)
    [paused_until] = change.values()
    assert abs(parse(paused_until) - at - pause) < timedelta(seconds=1)
    paused = WEBHOOK.model_copy(update=change)
    assert 0 < paused.pause_left() < pause.total_seconds() + 1
    assert WEBHOOK.pause_left() == 0
    assert paused.subscribes_to("run.failed")


def test_an_endpoint_that_fails_for_three_days_is_disabled() -> None:
    change = failing_for(days=3).health_change(FAILED, now())
    disabled = WEBHOOK.model_copy(update=change)
    assert (disabled.enabled, disabled.disabled_reason) == (False, "failing")
    assert not disabled.subscribes_to("run.failed")


def test_a_delivery_stores_its_newest_attempts() -> None:
    delivery = Delivery.create(ping("o", "p", "w"), WEBHOOK)
    for number in range(MAX_STORED_ATTEMPTS + 5):
        attempt = Attempt(at=timestamp(), duration_ms=number, status_code=500)
        delivery = delivery.with_attempt(attempt, "pending", next_attempt_at=timestamp_in(60))
    assert [one.duration_ms for one in delivery.attempts] == list(range(5, MAX_STORED_ATTEMPTS + 5))
    assert delivery.attempt_count == MAX_STORED_ATTEMPTS + 5
    assert 0 < delivery.seconds_left() <= 60
    again = delivery.for_redelivery()
    assert (again.attempt_count, again.round, again.seconds_left()) == (0, 1, 0.0)
    assert again.body == delivery.body


def test_only_a_2xx_status_is_a_success() -> None:
    successes = {
        status
        for status in range(100, 600)
        if Attempt(at=AT, duration_ms=0, status_code=status).succeeded
    }
    assert successes == set(range(200, 300))
    assert not Attempt(at=AT, duration_ms=0, error="timeout").succeeded


def test_the_contract_names_every_delivery_state() -> None:
    schema = document()["components"]["schemas"]["Delivery"]["properties"]
    assert set(schema["state"]["enum"]) == set(get_args(Delivery.model_fields["state"].annotation))
