"""Hot keys: the write units of a run per key, and runs that exceed the limit of a key."""

import math

import pytest

from benchmarks.hot_keys import Write, play, statuses_of, units_per_run, writes_of
from benchmarks.spans import Span

STATUSES = ["created", "completed"]


def span(at: float, operation: str = "PutItem", **by_index: float) -> Span:
    indexes = {name.replace("_", "-"): {"CapacityUnits": used} for name, used in by_index.items()}
    used = {"TableName": "records", "CapacityUnits": 9.0, "GlobalSecondaryIndexes": indexes}
    return Span(1, f"DynamoDB_20120810.{operation}", at, at + 0.1, [used])


def a_run() -> list[Write]:
    return writes_of(
        [
            span(5.0, runs_by_project=1, runs_by_status=1, open_runs=1),
            span(5.5, "Query", runs_by_project=7),
            span(5.7, "PutItem"),
            span(6.0, "TransactWriteItems", runs_by_status=2, runs_by_end=1, open_runs=1),
        ],
        "records",
        STATUSES,
    )


def test_the_old_status_uses_as_many_units_as_the_new_status() -> None:
    assert [write.after for write in a_run()] == [0.0, 1.0]
    assert units_per_run(a_run()) == {
        "runs-by-status: created": 2,
        "runs-by-project: the project": 1,
        "runs-by-status: completed": 1,
        "runs-by-end": 1,
        "open-runs: one of 8": 0.25,
    }


def test_statuses_come_from_the_log_and_must_match_the_writes() -> None:
    types = ["run.started", "agent.response.delta", "run.paused", "run.resumed", "run.completed"]
    assert statuses_of(types) == [
        *("created", "started", "awaiting_input", "paused", "started", "completed")
    ]
    with pytest.raises(ValueError, match="1 writes changed a status"):
        writes_of([span(0, runs_by_status=1)], "records", STATUSES)


def test_no_write_is_throttled_below_the_limit_of_the_hottest_key() -> None:
    result = play(a_run(), rate=300, seconds=5)
    assert (result.throttled, result.given_up, result.delay_p99) == (0, 0, 0)
    assert (len(result.delays), result.writes) == (1500, 3000)


def test_runs_are_late_and_then_lose_writes_above_the_limit() -> None:
    little, much = (play(a_run(), rate=rate, seconds=5) for rate in (900, 1500))
    assert little.hottest.startswith("runs-by-status")
    assert 0 < little.throttled < much.throttled
    assert 0 < little.delay_p99 < math.inf
    assert much.given_up > little.given_up
    # Every run ends or loses a write: no run disappears.
    assert len(much.delays) + much.given_up == 1500 * 5


def test_a_key_accepts_its_units_once_a_second() -> None:
    whole = [Write(0.0, {"key": 1000.0})]
    assert play(whole, rate=1, seconds=1).throttled == 0
    assert play(whole, rate=3, seconds=20).throttled > 0
