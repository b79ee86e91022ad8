"""What a step has in hand: stores, models, tools, a deadline, and one pen for many tasks."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from runyard_service.adapters.dynamodb.attributes import Change
from runyard_service.adapters.stores import Stores
from runyard_service.agents.conversation import Turns
from runyard_service.agents.definitions.models import Snapshot
from runyard_service.agents.models.attachments import for_provider, shown_bytes
from runyard_service.agents.models.base import Attachment, Model
from runyard_service.agents.tools.base import ToolEnvironment
from runyard_service.application.runs.journal import Journal
from runyard_service.application.steps.budget import Budget
from runyard_service.application.steps.step_timer import StepTimer
from runyard_service.domain.errors import AppendConflictError, SupersededError
from runyard_service.domain.events import NewEvent
from runyard_service.domain.history import History
from runyard_service.domain.runs import Run
from runyard_service.domain.steps import CallOrigin, ToolCallState
from runyard_service.domain.threads import Message
from runyard_service.observability import log_context
from runyard_service.observability.spans import Span, Spans


@dataclass(frozen=True)
class WorkerDeps:
    """How runs are carried here. `reserve_seconds` are kept to record results in.

    `project_daily_usd` caps the projects that have no cap of their own; 0: they have none.
    """

    stores: Stores
    model_for: Callable[[Snapshot], Model]
    tools: ToolEnvironment
    flush_seconds: float = 0.05
    reserve_seconds: float = 20.0
    project_daily_usd: Decimal = Decimal(0)
    export_spans: Callable[[Sequence[Span]], None] | None = None
    """Where spans go; None: nobody wants any."""
    shows_content: bool = False
    """Whether spans have prompts, replies, arguments and results on them."""


class RunContext:
    """One run in one worker's hands, until `deadline` (seconds of the monotonic clock)."""

    def __init__(self, deps: WorkerDeps, journal: Journal, deadline: float) -> None:
        self.deps = deps
        self.journal = journal
        self.snapshot = Snapshot.kept(deps.stores.definitions.get(journal.run.definition_digest))
        # Ids of the calls that this worker brought to their phase: they were not made yet.
        self.dispatched_here: set[str] = set()
        self.message_cache = Turns()
        self.timer = StepTimer(self.snapshot.definition.key)
        run = journal.run
        self.spans = Spans(
            run.trace_id or run.id.replace("-", ""), are_wanted=deps.export_spans is not None
        )
        self._model: Model | None = None
        self._attachments: Sequence[Attachment] | None = None
        self._messages: Sequence[Message] | None = None
        self._deadline = deadline
        self._pen = asyncio.Lock()

    @property
    def history(self) -> History:
        """What the log says, this worker's own events included."""
        return self.journal.history

    @property
    def model(self) -> Model:
        """The run's model, made at the first request to it."""
        if self._model is None:
            self._model = self.deps.model_for(self.snapshot)
        return self._model

    @property
    def budget(self) -> Budget:
        """What the run's own limits leave."""
        return Budget(self.snapshot.definition.limits, self.history)

    def origin_of(self, call: ToolCallState) -> CallOrigin:
        """Return whether this worker brought the call to its phase."""
        return CallOrigin.THIS_WORKER if call.id in self.dispatched_here else CallOrigin.UNKNOWN

    def seconds_left(self) -> float:
        """Until the invocation is cut off."""
        return self._deadline - time.monotonic()

    def has_time_for(self, seconds: float) -> bool:
        """Whether something that may take so long can still be begun, and its result recorded."""
        return self.seconds_left() > seconds + self.deps.reserve_seconds

    async def attachments(self) -> Sequence[Attachment]:
        """The run's files as far as the model is shown them; read at the first request for them."""
        if not self.journal.run.file_ids:
            return ()
        if self._attachments is None:
            self._attachments = await asyncio.to_thread(
                _attachments_of, self.deps.stores, self.journal.run, self.snapshot.route.provider
            )
        return self._attachments

    async def messages(self) -> Sequence[Message]:
        """What was said in the run's thread before the run; read at the first request for it."""
        thread_id, until = self.journal.run.thread_id, self.journal.run.thread_messages
        if thread_id is None:
            return ()
        if self._messages is None:
            read = self.deps.stores.messages.read
            self._messages = await asyncio.to_thread(lambda: list(read(thread_id, 0, until)))
        return self._messages

    async def checkpoint(self) -> None:
        """Offer a checkpoint of what the log says by now, where one is due."""
        histories, journal = self.deps.stores.histories, self.journal
        journal.run = await asyncio.to_thread(histories.checkpoint, journal.run, self.history)

    async def append(self, drafts: Sequence[NewEvent], changes: Sequence[Change] = ()) -> None:
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
        log_context.add(sequence=self.history.last)


def _attachments_of(stores: Stores, run: Run, provider: str) -> list[Attachment]:
    files = [stores.files.ready(run.project_id, file_id) for file_id in run.file_ids]
    lengths = shown_bytes([(file.mime_type, file.size) for file in files])
    # Each by itself: the bytes of one are gone before the next is read.
    return [
        for_provider(
            Attachment(
                file.id, file.name, file.mime_type, file.size, stores.files.read(file, length)
            ),
            provider,
        )
        for file, length in zip(files, lengths, strict=True)
    ]
