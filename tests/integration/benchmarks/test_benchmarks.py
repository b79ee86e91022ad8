"""Test that the benchmarks return measurements; their numbers are not checked."""

import time
from pathlib import Path

from benchmarks import capacity_units, own_time, spans
from benchmarks.stack import PARTS, instrumented, memory_mb, runyard
from benchmarks.storage_size import stored_bytes
from runyard_dev.open_store import stores_of


def test_every_benchmark_returns_a_measurement(tmp_path: Path) -> None:
    with runyard(environment=instrumented(tmp_path, units=True)) as (stack, client):
        moments = client.measure("sync", count=2, at_once=1)["moments"]
        assert client.measure("background", count=2, at_once=2)["per_second"] > 0
        assert client.measure("first_event", count=1)["milliseconds"][0] > 0
        assert client.measure("replay", events=1000, times=1)["events_per_second"][0] > 0
        answered = client.measure("resume", count=1)["moments"]
        used = capacity_units.count(stack, client, tmp_path, "nothing")
        paused = capacity_units.count(stack, client, tmp_path, "asking")
        assert 13 * 1024 > stored_bytes(stack, used.run_id) > 1024
        assert all(memory_mb(stack.pid(part)) for part in PARTS)
        time.sleep(0.5)  # The last spans arrive when the handlers end.
        recorded, server_pid = spans.read(tmp_path), stack.pid("web")
    assert (used.transitions, paused.transitions) == (1, 3)
    assert used.invocations == {"RunStepFunction": 1}
    assert (used.writes, used.event_writes, used.usage_writes) == (21, 4, 3)
    # Write units: 1 for a plain write, 13 for the pause, 11 for the answer, 6 for the resume.
    assert (paused.writes, paused.event_writes, paused.usage_writes) == (52, 11, 3)
    assert used.reads > used.tail_reads > 0
    for moment in (*moments, *answered):
        assert (
            0
            < own_time.own_milliseconds(recorded, server_pid, *moment)
            < 1000 * (moment[1] - moment[0])
        )


def test_many_deltas_are_written_in_few_batches_and_the_first_immediately(tmp_path: Path) -> None:
    with runyard() as (stack, client):
        client.measure("flood", events=1000, at_once=1)
        stores = stores_of(stack.environment)
        (run_id,) = stores.runs.ids()
        batches = list(stores.log.read(run_id))
    assert [len(batch.lines) for batch in batches[:2]] == [1, 1]  # run.started, the first delta
    assert sum(len(batch.lines) for batch in batches) == 1003
    assert len(batches) < 30
