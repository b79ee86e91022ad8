"""The concurrent tasks of one worker, after another writer has appended to the log."""

import asyncio

from runyard_service.adapters.stores import Stores
from runyard_service.application.runs.journal import Journal
from runyard_service.application.steps.async_journal import AsyncJournal
from runyard_service.domain.errors import SupersededError
from runyard_service.domain.events import NewEvent
from tests.support.run_factory import create_run


def test_no_task_appends_after_the_event_that_ended_the_run(stores: Stores) -> None:
    run = create_run(stores)
    worker = AsyncJournal(Journal.open(stores, run.id))
    other = Journal.open(stores, run.id)
    other.start()
    other.cancel("user", {})
    result = NewEvent(type="run.recovered", data={"id": run.id, "reason": "late", "attempt": 1})

    async def append_twice() -> list[type]:
        tasks = (worker.append([result]), worker.append([result]))
        return [type(each) for each in await asyncio.gather(*tasks, return_exceptions=True)]

    assert asyncio.run(append_twice()) == [SupersededError] * 2
    assert [event.type for event in stores.log.events(run.id)][-1] == "run.canceled"
