"""What a step has in hand: stores, models, tools, a deadline, and one pen for many tasks."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from runyard.agent.definition import Snapshot
from runyard.agent.dialogue import Model
from runyard.agent.tools.port import ToolEnvironment
from runyard.domain.errors import AppendConflictError, SupersededError
from runyard.domain.events import Draft
from runyard.domain.history import History
from runyard.engine.journal import Journal
from runyard.store.dynamo import Change
from runyard.store.stores import Stores


@dataclass(frozen=True)
class Worker:
    """How runs are carried here. No step is begun with less than `reserve_seconds` left."""

    stores: Stores
    model_for: Callable[[Snapshot], Model]
    tools: ToolEnvironment
    flush_seconds: float = 0.05
    reserve_seconds: float = 60.0


class Step:
    """One run in one worker's hands, until `deadline` (seconds of the monotonic clock)."""

    def __init__(self, worker: Worker, journal: Journal, deadline: float) -> None:
        self.worker = worker
        self.journal = journal
        self.snapshot = Snapshot.model_validate(
            worker.stores.definitions.get(journal.run.definition_digest)
        )
        # Calls that this worker brought to their phase itself: it knows that they were not made.
        self.begun: set[str] = set()
        self._deadline = deadline
        self._pen = asyncio.Lock()

    @property
    def history(self) -> History:
        """What the log says, this worker's own events included."""
        return self.journal.history

    def seconds_left(self) -> float:
        """Until the invocation is cut off."""
        return self._deadline - time.monotonic()

    def has_time(self) -> bool:
        """Whether another step may be begun."""
        return self.seconds_left() > self.worker.reserve_seconds

    async def append(self, drafts: Sequence[Draft], changes: Sequence[Change] = ()) -> None:
        """Append without holding up the event loop.

        Raises SupersededError where somebody else wrote to the log: whoever wrote goes on with the
        run, or has ended it, and this worker must not do anything further.
        """
        await self.write(lambda: self.journal.append(drafts, changes))

    async def write(self, append: Callable[[], object]) -> None:
        """The same for any of the journal's appends."""
        async with self._pen:
            try:
                await asyncio.to_thread(append)
            except AppendConflictError as error:
                raise SupersededError(self.journal.run.id) from error
