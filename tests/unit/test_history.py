"""The fold over a log: phases of calls, status, and signs of a lost worker."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from runyard_service.domain.clock import parse
from runyard_service.domain.events import Event, EventType, NewEvent, assign_sequences
from runyard_service.domain.history.history import History
from tests.support.histories import history_of

CALL = {"id": "c1", "name": "refund", "input": {"amount": 1}}


def response(*calls: dict[str, Any], cost: float | None = None) -> tuple[EventType, dict[str, Any]]:
    usage = {"input_tokens": 10, "output_tokens": 2}
    if cost is not None:
        usage["cost_usd"] = cost  # type: ignore[assignment]
    return "agent.message.completed", {
        "content": "",
        "iteration": 1,
        "usage": usage,
        "tool_calls": list(calls),
    }


ASKED: tuple[EventType, dict[str, Any]] = (
    "approval_request.created",
    {"id": "r1", "tool_call_id": "c1"},
)
RESOLVED: tuple[EventType, dict[str, Any]] = (
    "approval_request.resolved",
    {"id": "r1", "is_approved": True, "effective_params": {"x": 2}},
)
STARTED: tuple[EventType, dict[str, Any]] = ("agent.tool_call.started", {"id": "c1"})


def test_a_call_goes_through_its_phases() -> None:
    walk = [
        (response(CALL), "requested"),
        (STARTED, "started"),
        (ASKED, "asked"),
        (("run.paused", {}), "asked"),
        (RESOLVED, "answered"),
        (("run.resumed", {}), "resumed"),
        (("agent.tool_call.completed", {"id": "c1", "result": "ok"}), "done"),
    ]
    new_events = []
    for new_event, phase in walk:
        new_events.append(new_event)
        assert history_of(*new_events).current.calls[0].phase == phase  # type: ignore[union-attr]


def test_an_event_out_of_order_is_rejected() -> None:
    first, second = assign_sequences([NewEvent(type="run.started", data={})] * 2, after=0)
    with pytest.raises(ValueError, match="event 2 cannot follow event 0"):
        History.of([second, first])


def test_a_started_call_without_result_is_a_sign_of_a_lost_worker() -> None:
    assert history_of(response(CALL), STARTED).is_mid_step
    assert not history_of(response(CALL)).is_mid_step
    assert not history_of(response(CALL), STARTED, ASKED).is_mid_step


def test_a_partial_response_is_a_sign_of_a_lost_worker_until_recovery() -> None:
    delta: tuple[EventType, dict[str, Any]] = ("agent.response.delta", {"delta": "x"})
    recovered: tuple[EventType, dict[str, Any]] = ("run.recovered", {})
    assert history_of(delta).is_mid_step
    assert not history_of(delta, recovered).is_mid_step
    assert not history_of(delta, response()).is_mid_step


def test_a_call_is_answered_with_its_last_open_request() -> None:
    second: tuple[EventType, dict[str, Any]] = (
        "approval_request.created",
        {"id": "r3", "tool_call_id": "c1"},
    )
    waiting = history_of(response(CALL), STARTED, ASKED, second, ("run.paused", {}), RESOLVED)
    assert not waiting.has_new_answer
    waiting = history_of(
        response(CALL), STARTED, ASKED, second, ("run.paused", {}), RESOLVED, ("run.resumed", {})
    )
    [call] = waiting.unfinished
    assert call.phase == "asked", "a server that asks twice gets its call with all answers"


RAISE = {"limit": "usd", "used": 0.9, "current_limit": 1, "new_limit": 2}
LIMIT_ASKED: tuple[EventType, dict[str, Any]] = (
    "approval_request.created",
    {"id": "r2", "params": RAISE},
)


def limit_answered(is_approved: bool, new_limit: float) -> tuple[EventType, dict[str, Any]]:
    effective = {**RAISE, "new_limit": new_limit}
    answer = {"id": "r2", "is_approved": is_approved, "effective_params": effective}
    return "approval_request.resolved", answer


def test_an_input_request_about_a_limit_belongs_to_no_call() -> None:
    history = history_of(response(CALL), LIMIT_ASKED, ("run.paused", {}))
    assert [request.limit for request in history.open_requests] == ["usd"]
    assert history.unfinished[0].phase == "requested"


def test_a_raised_limit_applies_after_the_answer() -> None:
    cut = response()
    cut[1]["truncated_by"] = "usd"
    assert history_of(cut, LIMIT_ASKED).truncated_by == "usd"
    history = history_of(cut, LIMIT_ASKED, limit_answered(True, 3.5))
    assert history.limit_overrides == {"usd": Decimal("3.5")}
    assert (history.truncated_by, history.open_requests, history.denied_limit_request) == (
        "",
        [],
        None,
    )


def test_a_limit_stays_the_same_if_the_person_denies() -> None:
    history = history_of(LIMIT_ASKED, limit_answered(False, 2))
    assert history.limit_overrides == {}
    assert history.denied_limit_request is not None
    assert history.denied_limit_request.limit == "usd"


def test_the_wait_for_a_person_is_not_active_time() -> None:
    walk: list[tuple[EventType, str]] = [
        ("run.started", "10:00:00"),
        ("run.paused", "10:00:07"),
        ("run.resumed", "15:00:00"),
    ]
    history = History()
    for sequence, (kind, time) in enumerate(walk, start=1):
        at = f"2026-01-01T{time}.000Z"
        history.apply(Event(id=str(sequence), type=kind, sequence=sequence, timestamp=at, data={}))
    assert history.active_time(parse("2026-01-01T15:00:05.000Z")) == timedelta(seconds=12)
    paused = History.of([])
    assert paused.active_time(parse("2026-01-01T15:00:05.000Z")) == timedelta()


def test_costs_add_up_exactly() -> None:
    history = history_of(*[response(cost=0.1)] * 3)
    assert str(history.usage.cost_usd) == "0.3"
    assert history.usage.steps == 3
    assert history.usage.input_tokens == 30


def test_an_unknown_event_changes_only_the_sequence() -> None:
    history = history_of(("run.started", {}))
    later = assign_sequences([NewEvent("run.started", {})], after=1)[0]
    history.apply(later._replace(type="run.teleported"))
    assert (history.last, history.status) == (2, "started")


def retrying(attempt: int, call: str = "") -> tuple[EventType, dict[str, Any]]:
    return ("run.retrying", {"attempt": attempt} | ({"tool_call_id": call} if call else {}))


def test_failed_attempts_are_counted_for_each_call_until_it_ends() -> None:
    started: tuple[EventType, dict[str, Any]] = ("run.started", {})
    history = history_of(started, retrying(1), retrying(1, "a"), retrying(2), retrying(1, "b"))
    assert history.failed_attempts == {"": 2, "a": 1, "b": 1}
    recovered: tuple[EventType, dict[str, Any]] = ("run.recovered", {"reason": "step_interrupted"})
    history = history_of(started, retrying(1), recovered)
    assert history.failed_attempts == {"": 1}, "the next worker continues the number"
    assert (history.status, history.usage.steps, history.unfinished) == ("started", 0, [])
    history = history_of(started, retrying(1), response())
    assert history.failed_attempts == {}
