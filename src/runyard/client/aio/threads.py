"""`client.threads`: conversations."""

from collections.abc import AsyncIterator, Sequence

from runyard.client.aio.runs import AsyncRuns
from runyard.client.aio.streams import AsyncRunStream
from runyard.client.aio.transport import AsyncTransport
from runyard.client.core import threads
from runyard.client.core.follow import Cursor
from runyard.client.models import Message, Persona, Route, Thread, ThreadRun


class AsyncThreads:
    """The threads of the project."""

    def __init__(self, transport: AsyncTransport, runs: AsyncRuns) -> None:
        self.transport = transport
        self._runs = runs

    async def create(self, *, title: str | None = None) -> Thread:
        """Create a thread."""
        return await self.transport.run(threads.create(title))

    def list(self) -> AsyncIterator[Thread]:
        """Yield all threads, newest first."""
        return self.transport.iterate(threads.list_threads({}))

    async def get(self, thread_id: str) -> Thread:
        """Return the thread."""
        return await self.transport.run(threads.get(thread_id))

    async def update(self, thread_id: str, *, title: str | None) -> Thread:
        """Change the title; None removes it."""
        return await self.transport.run(threads.update(thread_id, title))

    async def delete(self, thread_id: str) -> None:
        """Delete the thread permanently."""
        await self.transport.run(threads.delete(thread_id))

    def messages(self, thread_id: str) -> AsyncIterator[Message]:
        """Yield all messages, oldest first."""
        return self.transport.iterate(threads.list_messages(thread_id, {}))

    async def post(self, thread_id: str, content: str) -> Message:
        """Append a message of the user. It starts no run."""
        return await self.transport.run(threads.post(thread_id, content))

    async def run(
        self,
        thread_id: str,
        *,
        persona_id: str | None = None,
        route_id: str | None = None,
        model: str | None = None,
        reasoning_mode: str | None = None,
    ) -> str:
        """Start a run that answers the messages; return its id for `client.runs`."""
        options = threads.RunOptions(persona_id, route_id, model, reasoning_mode)
        return await self.transport.run(threads.run(thread_id, options))

    def runs(self, thread_id: str) -> AsyncIterator[ThreadRun]:
        """Yield the runs of the thread, newest first."""
        return self.transport.iterate(threads.list_runs(thread_id, {}))

    async def personas(self) -> Sequence[Persona]:
        """Return all versions of all personas: the values of `persona_id`."""
        return await self.transport.run(threads.personas())

    async def routes(self) -> Sequence[Route]:
        """Return the values of `route_id`."""
        return await self.transport.run(threads.routes())

    def chat(
        self,
        thread_id: str | None = None,
        *,
        title: str | None = None,
        persona_id: str | None = None,
        route_id: str | None = None,
        model: str | None = None,
        reasoning_mode: str | None = None,
    ) -> "AsyncChat":
        """Return a conversation. Without `thread_id`, its first message creates a thread."""
        options = threads.RunOptions(persona_id, route_id, model, reasoning_mode)
        return AsyncChat(self._runs, threads.Conversation(thread_id, title, options))


class AsyncChat:
    """A conversation in a thread."""

    def __init__(self, runs: AsyncRuns, conversation: threads.Conversation) -> None:
        self._runs = runs
        self._conversation = conversation

    @property
    def thread_id(self) -> str | None:
        """Return the id of the thread; None before the first message of a new one."""
        return self._conversation.thread_id

    @property
    def run_id(self) -> str | None:
        """Return the id of the last run."""
        return self._conversation.run_id

    def send(self, content: str, *, deltas: bool = True) -> AsyncRunStream:
        """Append a message and start a run; return the run's events."""
        cursor = Cursor("", has_deltas=deltas)
        return AsyncRunStream(self._runs, cursor, starts=self._conversation.send(content))

    async def ask(self, content: str, *, timeout: float | None = None) -> str:
        """Append a message; return the text of the answer. Raise as `runs.result`."""
        return await self._runs.transport.run(self._conversation.ask(content, timeout))
