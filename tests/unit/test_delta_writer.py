"""Deltas on their way into the log: the first at once, the others together, never two puts."""

import asyncio
import functools
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from runyard_service.adapters.dynamodb.event_log import MAX_BATCH_EVENTS
from runyard_service.application.steps.delta_writer import UNIT_CHARACTERS, DeltaWriter
from runyard_service.domain.errors import SupersededError
from runyard_service.domain.events import NewEvent

AN_HOUR = 3600


class FakeJournal:
    """A journal whose appends last until the test releases them, and the flush interval."""

    def __init__(self, window: float = AN_HOUR) -> None:
        self.flush_seconds = window
        self.puts: list[int] = []
        self.free = asyncio.Event()
        self.free.set()
        self.fault: Exception | None = None

    async def append(self, drafts: Sequence[NewEvent], changes: Sequence[Any] = ()) -> None:
        self.puts.append(len(drafts))
        await self.free.wait()
        if self.fault:
            raise self.fault


def on_a_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    @functools.wraps(test)
    def run() -> None:
        asyncio.run(test())

    return run


def writer_of(journal: FakeJournal) -> DeltaWriter:
    return DeltaWriter(journal, journal.flush_seconds)  # type: ignore[arg-type]


async def add(writer: DeltaWriter, count: int, text: str = "x") -> None:
    for _ in range(count):
        writer.add(NewEvent(type="agent.response.delta", data={"delta": text}))
        await settled()


async def passes(clock: list[float], seconds: float) -> None:
    """So much time is over at once, on the loop whose clock this is."""
    clock[0] += seconds
    await settled()


async def settled() -> None:
    """Whatever can go on without the clock has done so."""
    for _ in range(10):
        await asyncio.sleep(0)


LAST = NewEvent(type="agent.message.completed", data={})


@on_a_loop
async def test_the_first_delta_goes_out_at_once_and_the_others_with_the_reply() -> None:
    journal = FakeJournal()
    writer = writer_of(journal)
    await add(writer, 1)
    assert journal.puts == [1]
    await add(writer, 5)
    assert journal.puts == [1]
    await journal.append([*await writer.close(), LAST])
    assert journal.puts == [1, 6]


@on_a_loop
async def test_what_comes_during_a_put_waits_for_it() -> None:
    journal = FakeJournal(window=0)
    writer = writer_of(journal)
    journal.free.clear()
    await add(writer, 30)
    assert journal.puts == [1]
    journal.free.set()
    async with asyncio.timeout(10):
        while len(journal.puts) == 1:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert journal.puts == [1, 29]
    await writer.stop()


@on_a_loop
async def test_a_full_batch_does_not_wait_for_the_window() -> None:
    journal = FakeJournal()
    writer = writer_of(journal)
    await add(writer, 1 + MAX_BATCH_EVENTS - 1)
    assert journal.puts == [1]
    await add(writer, 1)
    assert journal.puts == [1, MAX_BATCH_EVENTS]
    await journal.append([*await writer.close(), LAST])
    assert journal.puts == [1, MAX_BATCH_EVENTS, 1]


@on_a_loop
async def test_several_that_fill_no_write_unit_wait_half_as_long_again() -> None:
    clock = [0.0]
    asyncio.get_running_loop().time = lambda: clock[0]  # type: ignore[method-assign]
    journal = FakeJournal(window=1)
    writer = writer_of(journal)
    await add(writer, 3)
    await passes(clock, 1.1)
    assert journal.puts == [1]
    await passes(clock, 0.5)
    assert journal.puts == [1, 2]
    await add(writer, 1)
    await passes(clock, 1.1)
    assert journal.puts == [1, 2, 1]
    await add(writer, 2, "x" * UNIT_CHARACTERS)
    await passes(clock, 1.1)
    assert journal.puts == [1, 2, 1, 2]
    await writer.stop()


@on_a_loop
async def test_behind_a_silence_the_next_delta_goes_out_at_once() -> None:
    journal = FakeJournal(window=0)
    writer = writer_of(journal)
    await add(writer, 1)
    async with asyncio.timeout(10):
        while writer._flusher and not writer._flusher.done():  # noqa: ASYNC110
            await asyncio.sleep(0)
    await add(writer, 1)
    assert journal.puts == [1, 1]
    await writer.stop()


@on_a_loop
async def test_a_lost_put_is_told_to_whoever_adds_next_and_nothing_follows_it() -> None:
    journal = FakeJournal(window=0)
    writer = writer_of(journal)
    journal.fault = SupersededError("r")
    await add(writer, 1)
    with pytest.raises(SupersededError):
        await add(writer, 1)
    await writer.stop()
    assert journal.puts == [1]


@on_a_loop
async def test_stopping_waits_for_the_put_under_way_and_drops_the_rest() -> None:
    journal = FakeJournal()
    writer = writer_of(journal)
    journal.free.clear()
    await add(writer, 3)
    stopping = asyncio.create_task(writer.stop())
    await settled()
    assert not stopping.done()
    journal.free.set()
    await stopping
    assert journal.puts == [1]
