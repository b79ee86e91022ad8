"""`client.threads`: conversations."""

from collections.abc import Iterator, Sequence

from runyard.client.core import threads
from runyard.client.core.follow import Cursor
from runyard.client.models import Message, Persona, Route, Thread, ThreadRun
from runyard.client.sync.runs import Runs
from runyard.client.sync.streams import RunStream
from runyard.client.sync.transport import Transport


class Threads:
    """The threads of the project."""

    def __init__(self, transport: Transport, runs: Runs) -> None:
        self.transport = transport
        self._runs = runs

    def create(self, *, title: str | None = None) -> Thread:
        """Create a thread."""
        return self.transport.run(threads.create(title))

    def list(self) -> Iterator[Thread]:
        """Yield all threads, newest first."""
        return self.transport.iterate(threads.list_threads({}))

    def get(self, thread_id: str) -> Thread:
        """Return the thread."""
        return self.transport.run(threads.get(thread_id))

    def update(self, thread_id: str, *, title: str | None) -> Thread:
        """Change the title; None removes it."""
        return self.transport.run(threads.update(thread_id, title))

    def delete(self, thread_id: str) -> None:
        """Delete the thread permanently."""
        self.transport.run(threads.delete(thread_id))

    def messages(self, thread_id: str) -> Iterator[Message]:
        """Yield all messages, oldest first."""
        return self.transport.iterate(threads.list_messages(thread_id, {}))

    def post(self, thread_id: str, content: str) -> Message:
        """Append a message of the user. It starts no run."""
        return self.transport.run(threads.post(thread_id, content))

    def run(
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
        return self.transport.run(threads.run(thread_id, options))

    def runs(self, thread_id: str) -> Iterator[ThreadRun]:
        """Yield the runs of the thread, newest first."""
        return self.transport.iterate(threads.list_runs(thread_id, {}))

    def personas(self) -> Sequence[Persona]:
        """Return all versions of all personas: the values of `persona_id`."""
        return self.transport.run(threads.personas())

    def routes(self) -> Sequence[Route]:
        """Return the values of `route_id`."""
        return self.transport.run(threads.routes())

    def chat(
        self,
        thread_id: str | None = None,
        *,
        title: str | None = None,
        persona_id: str | None = None,
        route_id: str | None = None,
        model: str | None = None,
        reasoning_mode: str | None = None,
    ) -> "Chat":
        """Return a conversation. Without `thread_id`, its first message creates a thread."""
        options = threads.RunOptions(persona_id, route_id, model, reasoning_mode)
        return Chat(self._runs, threads.Conversation(thread_id, title, options))


class Chat:
    """A conversation in a thread."""

    def __init__(self, runs: Runs, conversation: threads.Conversation) -> None:
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

    def send(self, content: str, *, deltas: bool = True) -> RunStream:
        """Append a message and start a run; return the run's events."""
        cursor = Cursor("", has_deltas=deltas)
        cursor.run_id = self._runs.transport.run(self._conversation.send(content))
        return RunStream(self._runs, cursor)

    def ask(self, content: str, *, timeout: float | None = None) -> str:
        """Append a message; return the text of the answer. Raise as `runs.result`."""
        return self._runs.transport.run(self._conversation.ask(content, timeout))
