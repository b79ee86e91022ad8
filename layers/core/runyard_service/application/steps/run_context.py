"""The context of a run in one worker: stores, model, tools, journal and deadline."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING

from runyard_service.adapters.stores import Stores
from runyard_service.agents.definitions.models import AgentDefinition, Snapshot
from runyard_service.agents.mcp.base import McpEnvironment
from runyard_service.agents.mcp.pinned_tools import effective_definition
from runyard_service.agents.models.attachments import for_provider, sent_bytes
from runyard_service.agents.models.base import Attachment, Model
from runyard_service.agents.step_messages import MessageHistory
from runyard_service.agents.tools.base import ToolEnvironment
from runyard_service.application.steps.async_journal import AsyncJournal
from runyard_service.application.steps.budget import Budget
from runyard_service.application.steps.step_timer import StepTimer
from runyard_service.domain.event_payloads.runs import ErrorInfo
from runyard_service.domain.history.history import History
from runyard_service.domain.runs import Run
from runyard_service.domain.steps import CallOrigin, ToolCallState
from runyard_service.domain.threads import Message
from runyard_service.observability.spans import Span, Spans

if TYPE_CHECKING:
    from runyard_service.application.own_code.code_run import CodeRun


def _no_secret(name: str) -> str:
    raise LookupError(f"this worker reads no secrets, such as {name!r}: set `read_secret`")


@dataclass(frozen=True)
class WorkerDeps:
    """What a worker needs to execute runs. It reserves `reserve_seconds` to record results.

    `read_secret` returns the text of a secret by its name, for the MCP servers.
    `agent_function_prefix` is the prefix of the functions that it may invoke for agents.
    `project_daily_usd` is the daily cap of projects without a cap of their own; 0 means no cap.
    """

    stores: Stores
    model_for: Callable[[Snapshot], Model]
    tools: ToolEnvironment
    flush_seconds: float = 0.05
    reserve_seconds: float = 20.0
    project_daily_usd: Decimal = Decimal(0)
    export_spans: Callable[[Sequence[Span]], None] | None = None
    """The exporter of spans; None disables spans."""
    shows_content: bool = False
    """Whether spans contain prompts, responses, arguments and results."""
    read_secret: Callable[[str], str] = _no_secret
    agent_function_prefix: str = ""


class RunContext:
    """One run that a worker executes until `deadline` (seconds of the monotonic clock)."""

    def __init__(self, deps: WorkerDeps, journal: AsyncJournal, deadline: float) -> None:
        self.deps = deps
        self.journal = journal
        snapshot = Snapshot.from_stored(deps.stores.definitions.get(journal.run.definition_digest))
        self._first_route_id = snapshot.route_id
        # On the route in use, which the log names after a switch.
        self.snapshot = snapshot.on_route(journal.history.route or snapshot.route_id)
        # Ids of the calls that this worker brought to their phase: they were not made yet.
        self.dispatched_here: set[str] = set()
        # The state of the agent's own code in this worker; None for a dialogue.
        self.code_run: CodeRun | None = None
        self.message_cache = MessageHistory()
        self.timer = StepTimer(self.snapshot.definition.key)
        run = journal.run
        self.spans = Spans(
            run.trace_id or run.id.replace("-", ""), is_enabled=deps.export_spans is not None
        )
        # The files of tool results as the model receives them, by id.
        self.returned_files: dict[str, Attachment] = {}
        self._models: dict[str, Model] = {}
        self._definition = self.snapshot.definition
        self._known_lists = 0
        self._attachments: Sequence[Attachment] | None = None
        self._messages: Sequence[Message] | None = None
        self._deadline = deadline

    @property
    def history(self) -> History:
        """The history of the run, with the events that this worker wrote."""
        return self.journal.history

    @property
    def definition(self) -> AgentDefinition:
        """The definition of the agent, with the tools of MCP servers that the run has listed."""
        lists = self.history.tool_lists
        if len(lists) != self._known_lists:
            self._definition = effective_definition(self.snapshot, lists)
            self._known_lists = len(lists)
        return self._definition

    @cached_property
    def mcp(self) -> McpEnvironment:
        """The configuration for requests to MCP servers."""
        tools = self.deps.tools
        return McpEnvironment(
            tools.variables, tools.private_hosts, tools.circuits, self.deps.read_secret
        )

    @property
    def model(self) -> Model:
        """The model of the route in use, created on first use."""
        route_id = self.snapshot.route_id
        if route_id not in self._models:
            self._models[route_id] = self.deps.model_for(self.snapshot)
        return self._models[route_id]

    @property
    def is_on_first_route(self) -> bool:
        """Whether the route in use is the route with which the run started."""
        return self.snapshot.route_id == self._first_route_id

    @property
    def is_on_fallback(self) -> bool:
        """Whether the route in use is a fallback route of the run."""
        return self.history.route == self.snapshot.route_id

    @contextmanager
    def on_route(self, snapshot: Snapshot) -> Iterator[None]:
        """Use the route of this snapshot within the context."""
        own, self.snapshot = self.snapshot, snapshot
        try:
            yield
        finally:
            # Another route has no fallback, so a switch was of the run's own route.
            self.snapshot = own if self.snapshot is snapshot else self.snapshot

    async def fall_back(self, error: ErrorInfo) -> None:
        """Record that the next route replaces the route in use after this error, and use it."""
        failed, following = self.snapshot.route_id, self.snapshot.fallback[0]
        await self.journal.fall_back(failed, error, following.route_id, following.route.model_name)
        self.snapshot = self.snapshot.on_route(following.route_id)
        # The files are prepared for another provider.
        self._attachments = None
        self.returned_files.clear()
        self.message_cache = MessageHistory()

    @property
    def invocations(self) -> int:
        """The number of invocations of an agent's own code, with those of this worker."""
        return self.code_run.invocations if self.code_run else self.history.invocations

    @property
    def budget(self) -> Budget:
        """What the limits of the run leave."""
        return Budget(self.snapshot.definition.limits, self.history)

    def origin_of(self, call: ToolCallState) -> CallOrigin:
        """Return whether this worker brought the call to its phase."""
        return CallOrigin.THIS_WORKER if call.id in self.dispatched_here else CallOrigin.UNKNOWN

    def seconds_left(self) -> float:
        """Return the seconds until the deadline."""
        return self._deadline - time.monotonic()

    def has_time_for(self, seconds: float) -> bool:
        """Return whether work of this duration, and the record of its result, fit the deadline."""
        return self.seconds_left() > seconds + self.deps.reserve_seconds

    async def attachments(self) -> Sequence[Attachment]:
        """Return the files of the run as the model receives them; read them on first use."""
        if not self.journal.run.file_ids:
            return ()
        if self._attachments is None:
            self._attachments = await asyncio.to_thread(
                _attachments_of, self.deps.stores, self.journal.run, self.snapshot.route.provider
            )
        return self._attachments

    async def messages(self) -> Sequence[Message]:
        """Return the thread messages that precede the run; read them on first use."""
        thread_id, until = self.journal.run.thread_id, self.journal.run.thread_messages
        if thread_id is None:
            return ()
        if self._messages is None:
            read = self.deps.stores.messages.read
            self._messages = await asyncio.to_thread(lambda: list(read(thread_id, 0, until)))
        return self._messages


def _attachments_of(stores: Stores, run: Run, provider: str) -> list[Attachment]:
    files = [stores.files.ready(run.project_id, file_id) for file_id in run.file_ids]
    lengths = sent_bytes([(file.mime_type, file.size) for file in files])
    # One file at a time: the bytes of a file are released before the next file is read.
    return [
        for_provider(
            Attachment(
                file.id, file.name, file.mime_type, file.size, stores.files.read(file, length)
            ),
            provider,
        )
        for file, length in zip(files, lengths, strict=True)
    ]
