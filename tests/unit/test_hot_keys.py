"""Hot keys: what a run takes of each key, and what becomes of runs where a key is full."""

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


def test_a_status_that_is_left_takes_as_much_as_one_that_is_entered() -> None:
    assert [write.after for write in a_run()] == [0.0, 1.0]
    assert units_per_run(a_run()) == {
        "runs-by-status: created": 2,
        "runs-by-project: the project": 1,
        "runs-by-status: completed": 1,
        "runs-by-end": 1,
        "open-runs: one of 8": 0.25,
    }


def test_statuses_come_from_the_log_and_have_to_fit_the_writes() -> None:
    types = ["run.started", "agent.response.delta", "run.paused", "run.resumed", "run.completed"]
    assert statuses_of(types) == [
        *("created", "started", "awaiting_input", "paused", "started", "completed")
    ]
    with pytest.raises(ValueError, match="1 writes changed a status"):
        writes_of([span(0, runs_by_status=1)], "records", STATUSES)


def test_below_the_limit_of_its_hottest_key_nothing_is_refused() -> None:
    told = play(a_run(), rate=300, seconds=5)
    assert (told.refused, told.given_up, told.delay_p99) == (0, 0, 0)
    assert (len(told.delays), told.writes) == (1500, 3000)


def test_above_it_runs_are_late_and_then_writes_are_given_up() -> None:
    little, much = (play(a_run(), rate=rate, seconds=5) for rate in (900, 1500))
    assert little.hottest.startswith("runs-by-status")
    assert 0 < little.refused < much.refused
    assert 0 < little.delay_p99 < math.inf
    assert much.given_up > little.given_up
    # A run ends, or one of its writes was given up: none is lost on the way.
    assert len(much.delays) + much.given_up == 1500 * 5


def test_a_key_takes_its_units_once_a_second() -> None:
    whole = [Write(0.0, {"key": 1000.0})]
    assert play(whole, rate=1, seconds=1).refused == 0
    assert play(whole, rate=3, seconds=20).refused > 0
