"""Test many readers of a run: each gets every event once, and all of them share one tail."""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from typing import Any

import pytest

from runyard_service.adapters.dynamodb.event_log import Batch, EventLog
from runyard_service.adapters.stores import Stores
from runyard_service.application.streams.follow_events import FollowedRuns
from runyard_service.application.streams.tail import PAGE_BATCHES, PollBackoff, next_batches
from runyard_service.domain.errors import StoreRejectedError
from runyard_service.domain.events import NewEvent
from runyard_service.domain.ids import new_id

PACE = PollBackoff(first_pause=0.005, longest_pause=0.02)
END = NewEvent(type="run.completed", data={})
pytestmark = pytest.mark.anyio


class CountedLog:
    """A log that counts the reads from each position."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self.reads: Counter[int] = Counter()

    def read(self, run_id: str, after: int = 0, **how: Any) -> Iterator[Batch]:
        self.reads[after] += 1
        return self._log.read(run_id, after, **how)


class Lagging:
    """An eventually consistent store: such reads omit the `hidden` batches."""

    def __init__(self, log: EventLog, hidden: set[int], *, always: bool = False) -> None:
        self._log = log
        self._hidden = hidden
        self._always = always

    def read(self, run_id: str, after: int = 0, **how: Any) -> Iterator[Batch]:
        for batch in self._log.read(run_id, after, **how):
            if batch.first not in self._hidden or (how["consistent"] and not self._always):
                yield batch


def delta(number: int) -> NewEvent:
    return NewEvent(type="agent.response.delta", data={"delta": str(number)})


async def append(stores: Stores, run_id: str, last: int, new_events: Sequence[NewEvent]) -> int:
    events = await asyncio.to_thread(stores.log.append, run_id, last, new_events)
    return events[-1].sequence


async def write(stores: Stores, run_id: str, batches: int) -> int:
    """Write a run of n batches of one to three events, and its end; return its last sequence."""
    last = 0
    for number in range(batches):
        last = await append(stores, run_id, last, [delta(number)] * (1 + number % 3))
    return await append(stores, run_id, last, [END])


async def seen(
    runs: FollowedRuns, run_id: str, after: int = 0, *, pause: float = 0, seconds: float = 30
) -> list[int]:
    """Return the sequences that a reader receives, with a delay after each batch."""
    found: list[int] = []
    async with aclosing(runs.follow(run_id, after, time.monotonic() + seconds)) as batches:
        async for batch in batches:
            assert batch is not None
            found += range(batch.first, batch.last + 1)
            await asyncio.sleep(pause)
    return found


async def test_readers_from_any_cursor_at_any_time_see_each_event_once(stores: Stores) -> None:
    run_id, runs = new_id(), FollowedRuns(stores.log, PACE)
    readers = [asyncio.create_task(seen(runs, run_id)) for _ in range(10)]

    async def come_later(number: int) -> list[int]:
        await asyncio.sleep(0.02 * number)
        return await seen(runs, run_id, after=number)

    later = [asyncio.create_task(come_later(number)) for number in range(10)]
    last = await write(stores, run_id, batches=40)
    for reader in readers:
        assert await reader == list(range(1, last + 1))
    for number, reader in enumerate(later):
        assert await reader == list(range(number + 1, last + 1))


async def test_fifty_readers_read_the_log_as_often_as_one(stores: Stores) -> None:
    run_id, log = new_id(), CountedLog(stores.log)
    runs = FollowedRuns(log, PACE)  # type: ignore[arg-type]
    await append(stores, run_id, 0, [delta(0)])
    readers = [asyncio.create_task(seen(runs, run_id)) for _ in range(50)]
    async with asyncio.timeout(30):
        while run_id not in runs._tails or runs._tails[run_id][1] < 50:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    # Each reader has read the stored events; after that, only the tail reads.
    assert log.reads[0] == 50
    last = await append(stores, run_id, 1, [delta(1)])
    assert await append(stores, run_id, last, [END]) == 3
    assert await asyncio.gather(*readers) == [[1, 2, 3]] * 50
    assert log.reads[0] == 50
    assert log.reads[2] < 50


async def test_a_slow_reader_does_not_delay_others_and_misses_nothing(stores: Stores) -> None:
    run_id, runs = new_id(), FollowedRuns(stores.log, PACE)
    slow = asyncio.create_task(seen(runs, run_id, pause=0.05))
    fast = asyncio.create_task(seen(runs, run_id))
    last = await write(stores, run_id, batches=2 * PAGE_BATCHES)
    assert await fast == list(range(1, last + 1))
    assert not slow.done()
    assert await slow == list(range(1, last + 1))


async def test_a_tail_buffers_at_most_one_page(stores: Stores) -> None:
    run_id, runs = new_id(), FollowedRuns(stores.log, PACE)
    async with aclosing(runs.follow(run_id, 0, time.monotonic() + 30)) as batches:
        waiting = asyncio.ensure_future(anext(batches))
        await asyncio.sleep(0.05)
        await write(stores, run_id, batches=2 * PAGE_BATCHES)
        await waiting
        tail, _ = runs._tails[run_id]
        async with asyncio.timeout(10):
            while not tail.has_ended:
                await tail.wait(0.1)
        assert len(tail._recent) == PAGE_BATCHES
        assert tail.after(1) is None


async def test_the_tail_ends_with_its_last_reader(stores: Stores) -> None:
    run_id, runs = new_id(), FollowedRuns(stores.log, PACE)
    await append(stores, run_id, 0, [delta(0)])
    short = asyncio.create_task(seen(runs, run_id, seconds=0.2))
    long = asyncio.create_task(seen(runs, run_id, seconds=0.5))
    await short
    assert run_id in runs._tails
    tail, readers = runs._tails[run_id]
    assert readers == 1
    await long
    assert runs._tails == {}
    assert tail._reading.done()


async def test_a_canceled_reader_leaves_no_tail(stores: Stores) -> None:
    run_id, runs = new_id(), FollowedRuns(stores.log, PACE)
    reader = asyncio.create_task(seen(runs, run_id))
    await asyncio.sleep(0.1)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert runs._tails == {}


async def test_idle_streams_send_pings_and_end_on_time(stores: Stores) -> None:
    run_id, runs = new_id(), FollowedRuns(stores.log, PACE)
    found = [batch async for batch in runs.follow(run_id, 0, time.monotonic() + 0.5, silence=0.1)]
    assert found
    assert set(found) == {None}


async def test_a_cursor_past_the_end_ends_with_the_run(stores: Stores) -> None:
    run_id, runs = new_id(), FollowedRuns(stores.log, PACE)
    await append(stores, run_id, 0, [delta(0)])
    reader = asyncio.create_task(seen(runs, run_id, after=1000))
    await asyncio.sleep(0.1)
    await append(stores, run_id, 1, [END])
    assert await reader == []
    assert await seen(runs, run_id, after=1000) == []


async def test_a_cursor_within_a_batch_has_the_rest_of_it(stores: Stores) -> None:
    run_id, runs = new_id(), FollowedRuns(stores.log, PACE)
    await append(stores, run_id, 0, [delta(number) for number in range(10)])
    reader = asyncio.create_task(seen(runs, run_id, after=4))
    await append(stores, run_id, 10, [END])
    assert await reader == list(range(5, 12))


async def test_events_missing_in_an_eventual_read_are_not_skipped(stores: Stores) -> None:
    run_id = new_id()
    last = await write(stores, run_id, batches=3)
    runs = FollowedRuns(Lagging(stores.log, hidden={2}), PACE)  # type: ignore[arg-type]
    assert await seen(runs, run_id) == list(range(1, last + 1))
    broken = FollowedRuns(Lagging(stores.log, {2}, always=True), PACE)  # type: ignore[arg-type]
    with pytest.raises(StoreRejectedError, match="gap after 1"):
        await seen(broken, run_id)


async def test_the_failure_of_a_tail_reaches_all_its_readers(stores: Stores) -> None:
    run_id = new_id()
    log = Lagging(stores.log, hidden=set(), always=True)
    runs = FollowedRuns(log, PACE)  # type: ignore[arg-type]
    readers = [asyncio.create_task(seen(runs, run_id)) for _ in range(3)]
    await asyncio.sleep(0.1)
    log._hidden.add(1)
    await write(stores, run_id, batches=2)
    for reader in readers:
        with pytest.raises(StoreRejectedError):
            await reader
    assert runs._tails == {}


async def test_events_appended_by_this_process_are_read_immediately(stores: Stores) -> None:
    run_id, runs = new_id(), FollowedRuns(stores.log, PollBackoff(math.inf, math.inf))
    await append(stores, run_id, 0, [delta(0)])
    reader = asyncio.create_task(seen(runs, run_id))
    await asyncio.sleep(0.2)
    await append(stores, run_id, 1, [END])
    runs.wake(run_id)
    async with asyncio.timeout(5):
        assert await reader == [1, 2]


async def test_a_replay_ends_at_its_time_limit_with_progress(stores: Stores) -> None:
    run_id, runs = new_id(), FollowedRuns(stores.log, PACE)
    last = await write(stores, run_id, batches=5)
    found: list[list[int]] = [[0]]
    while found[-1][-1] < last:
        # A client that reconnects repeatedly, to connections without any time.
        found.append(await seen(runs, run_id, after=found[-1][-1], seconds=0))
    assert found[1:] == [[1], [2, 3], [4, 5, 6], [7], [8, 9], [10]]


async def test_a_replay_ends_after_the_last_stored_event(stores: Stores) -> None:
    run_id, runs = new_id(), FollowedRuns(stores.log, PACE)
    last = await append(stores, run_id, 0, [delta(0), delta(1)])
    for after in range(last + 2):
        there = runs.follow(run_id, after, time.monotonic() + 30, live=False)
        found = [batch async for batch in there]
        assert sum(len(batch.lines) for batch in found if batch) == max(0, last - after)
    assert runs._tails == {}


async def test_a_page_has_at_most_one_megabyte(stores: Stores) -> None:
    run_id, runs = new_id(), FollowedRuns(stores.log, PACE)
    # Each event is a batch; together they are more than two pages.
    large = NewEvent(type="agent.response.delta", data={"delta": "x" * 60_000})
    last = await append(stores, run_id, 0, [large] * 40)
    pages = stores.log.read(run_id)
    sizes = []
    while page := await next_batches(pages):
        sizes.append(sum(len(line) for batch in page for line in batch.lines))
    assert len(sizes) == 3
    assert max(sizes) < 1024 * 1024 + 64 * 1024
    reader = asyncio.create_task(seen(runs, run_id))
    await append(stores, run_id, last, [END])
    assert await reader == list(range(1, last + 2))
