"""Writes of deltas: the first at once, the others in batches, never two writes at once."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from runyard_service.adapters.dynamodb.event_log import MAX_BATCH_EVENTS
from runyard_service.application.steps.delta_writer import UNIT_CHARACTERS, DeltaWriter
from runyard_service.domain.errors import SupersededError
from runyard_service.domain.events import NewEvent

AN_HOUR = 3600
pytestmark = pytest.mark.anyio


class FakeJournal:
    """A journal whose appends wait until the test releases them, with a flush interval."""

    def __init__(self, window: float = AN_HOUR) -> None:
        self.flush_seconds = window
        self.writes: list[int] = []
        self.free = asyncio.Event()
        self.free.set()
        self.error: Exception | None = None

    async def append(self, new_events: Sequence[NewEvent], changes: Sequence[Any] = ()) -> None:
        self.writes.append(len(new_events))
        await self.free.wait()
        if self.error:
            raise self.error


def writer_of(journal: FakeJournal) -> DeltaWriter:
    return DeltaWriter(journal, journal.flush_seconds)  # type: ignore[arg-type]


async def add(writer: DeltaWriter, count: int, text: str = "x") -> None:
    for _ in range(count):
        writer.add(NewEvent(type="agent.response.delta", data={"delta": text}))
        await run_ready_tasks()


async def advance(clock: list[float], seconds: float) -> None:
    """Advance the clock of the event loop by `seconds` at once."""
    clock[0] += seconds
    await run_ready_tasks()


async def run_ready_tasks() -> None:
    """Let every task continue that does not wait for the clock."""
    for _ in range(10):
        await asyncio.sleep(0)


LAST = NewEvent(type="agent.message.completed", data={})


async def test_the_first_delta_is_written_at_once_and_the_others_with_the_response() -> None:
    journal = FakeJournal()
    writer = writer_of(journal)
    await add(writer, 1)
    assert journal.writes == [1]
    await add(writer, 5)
    assert journal.writes == [1]
    await journal.append([*await writer.close(), LAST])
    assert journal.writes == [1, 6]


async def test_deltas_that_arrive_during_a_write_wait_for_its_end() -> None:
    journal = FakeJournal(window=0)
    writer = writer_of(journal)
    journal.free.clear()
    await add(writer, 30)
    assert journal.writes == [1]
    journal.free.set()
    async with asyncio.timeout(10):
        while len(journal.writes) == 1:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert journal.writes == [1, 29]
    await writer.stop()


async def test_a_full_batch_does_not_wait_for_the_flush_interval() -> None:
    journal = FakeJournal()
    writer = writer_of(journal)
    await add(writer, 1 + MAX_BATCH_EVENTS - 1)
    assert journal.writes == [1]
    await add(writer, 1)
    assert journal.writes == [1, MAX_BATCH_EVENTS]
    await journal.append([*await writer.close(), LAST])
    assert journal.writes == [1, MAX_BATCH_EVENTS, 1]


async def test_deltas_that_fill_less_than_a_write_unit_wait_half_an_interval_longer() -> None:
    clock = [0.0]
    asyncio.get_running_loop().time = lambda: clock[0]  # type: ignore[method-assign]
    journal = FakeJournal(window=1)
    writer = writer_of(journal)
    await add(writer, 3)
    await advance(clock, 1.1)
    assert journal.writes == [1]
    await advance(clock, 0.5)
    assert journal.writes == [1, 2]
    await add(writer, 1)
    await advance(clock, 1.1)
    assert journal.writes == [1, 2, 1]
    await add(writer, 2, "x" * UNIT_CHARACTERS)
    await advance(clock, 1.1)
    assert journal.writes == [1, 2, 1, 2]
    await writer.stop()


async def test_the_first_delta_after_a_pause_is_written_at_once() -> None:
    journal = FakeJournal(window=0)
    writer = writer_of(journal)
    await add(writer, 1)
    async with asyncio.timeout(10):
        while writer._flusher and not writer._flusher.done():  # noqa: ASYNC110
            await asyncio.sleep(0)
    await add(writer, 1)
    assert journal.writes == [1, 1]
    await writer.stop()


async def test_a_failed_write_is_raised_at_the_next_add_and_no_write_follows() -> None:
    journal = FakeJournal(window=0)
    writer = writer_of(journal)
    journal.error = SupersededError("r")
    await add(writer, 1)
    with pytest.raises(SupersededError):
        await add(writer, 1)
    await writer.stop()
    assert journal.writes == [1]


async def test_stop_waits_for_the_current_write_and_drops_the_rest() -> None:
    journal = FakeJournal()
    writer = writer_of(journal)
    journal.free.clear()
    await add(writer, 3)
    stopping = asyncio.create_task(writer.stop())
    await run_ready_tasks()
    assert not stopping.done()
    journal.free.set()
    await stopping
    assert journal.writes == [1]
