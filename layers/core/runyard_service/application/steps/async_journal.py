"""The journal of one run for the concurrent tasks of one worker."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from runyard_service.adapters.dynamodb.attributes import TransactWriteItem
from runyard_service.adapters.stores import Stores
from runyard_service.application.runs.journal import Journal
from runyard_service.domain.errors import AppendConflictError, SupersededError
from runyard_service.domain.event_payloads.runs import CodeVersion, ErrorInfo
from runyard_service.domain.events import NewEvent
from runyard_service.domain.history.history import History
from runyard_service.domain.runs import Run
from runyard_service.observability import log_context

_ANSWERS = frozenset({"agent.human_feedback.received", "approval_request.resolved"})


class AsyncJournal:
    """Write to a journal without blocking the event loop, one append at a time.

    Each write raises SupersededError if another writer was first. That writer has ended the run or
    now owns it, so this worker must stop. An answer of a person is no such writer.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._write_lock = asyncio.Lock()
        self._is_superseded = False

    @property
    def stores(self) -> Stores:
        """The stores that the journal writes to."""
        return self._journal.stores

    @property
    def run(self) -> Run:
        """The run, as the worker last read it."""
        return self._journal.run

    @property
    def history(self) -> History:
        """The history, with the events that this worker wrote."""
        return self._journal.history

    async def append(
        self, events: Sequence[NewEvent], changes: Sequence[TransactWriteItem] = ()
    ) -> None:
        """Append events, together with changes of records."""
        await self._write(self._journal.append, events, changes)

    async def start(self, code: CodeVersion | None = None) -> None:
        """Record that a worker starts the run, and the version of an agent's own code."""
        await self._write(self._journal.start, code)

    async def start_again(self, code: CodeVersion | None = None) -> None:
        """Record the start after the events of another writer, which does not own the run."""
        self._is_superseded = False
        await self.start(code)

    async def resume(self, results_of_answers: Callable[[], Sequence[NewEvent]]) -> None:
        """Record that the run resumes, and the tool results that the answers provide.

        If another answer was first, call `results_of_answers` again.
        """
        await self._write(lambda: self._journal.resume(results_of_answers()))

    async def recover(self, reason: str) -> None:
        """Record that a worker recovers the run. Watchers discard the partial message."""
        await self.append([self.recovered_event(reason)])

    def recovered_event(self, reason: str) -> NewEvent:
        """Return the event of `recover`, to append it together with others."""
        return self._journal.recovered_event(reason)

    async def fall_back(self, failed_route: str, error: ErrorInfo, route: str, model: str) -> None:
        """Record the switch to another route. Watchers discard the partial message."""
        await self._write(self._journal.fall_back, failed_route, error, route, model)

    async def complete(
        self,
        output: Mapping[str, Any],
        message_events: Sequence[NewEvent] = (),
        changes: Sequence[TransactWriteItem] = (),
    ) -> None:
        """Record the output of the run, with the message events that are not recorded yet."""
        await self._write(self._journal.complete, output, message_events, changes)

    async def fail(
        self, code: str, message: str, provider: Mapping[str, Any] | None = None
    ) -> None:
        """Record the error that ends the run."""
        await self._write(self._journal.fail, code, message, provider)

    async def checkpoint(self) -> None:
        """Write a checkpoint of the history, if one is due."""
        histories = self.stores.histories
        self._journal.run = await asyncio.to_thread(histories.checkpoint, self.run, self.history)

    async def _write(self, write: Callable[..., object], *args: object) -> None:
        async with self._write_lock:
            if self._is_superseded:
                # After a conflict the journal has read the events of the other writer. Another
                # call of this worker must not append its result to them.
                raise SupersededError(self.run.id)
            while not await self._try(write, args):
                pass
        log_context.bind(sequence=self.history.last)

    async def _try(self, write: Callable[..., object], args: tuple[object, ...]) -> bool:
        """Return whether the write succeeded; False to write again, after the answers of people.

        Only a run whose own code works while input requests are open is active and gets answers.
        """
        is_active, last = self.history.status == "started", self.history.last
        try:
            await asyncio.to_thread(write, *args)
        except AppendConflictError as error:
            if is_active and self._has_only_answers_since(last):
                return False
            self._is_superseded = True
            raise SupersededError(self.run.id) from error
        return True

    def _has_only_answers_since(self, last: int) -> bool:
        count = self.history.last - last
        new = self.history.durable_events[-count:] if count else []
        return bool(new) and all(each.sequence > last and each.type in _ANSWERS for each in new)
