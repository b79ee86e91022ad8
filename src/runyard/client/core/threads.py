"""The operations on threads: conversations in the Threads API."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runyard.client.core.effects import Call, Stream
from runyard.client.core.lists import linked
from runyard.client.core.requests import QueryValue, call_json, segment, set_fields
from runyard.client.core.runs import result
from runyard.client.models import Message, Persona, Route, Thread, ThreadRun

_BASE = "/threads/v1"


@dataclass(frozen=True)
class RunOptions:
    """How a run answers: the agent as `persona_id`, and the route or the model."""

    persona_id: str | None = None
    route_id: str | None = None
    model: str | None = None
    reasoning_mode: str | None = None


def _path(thread_id: str, rest: str = "") -> str:
    return f"{_BASE}/threads/{segment(thread_id)}{rest}"


def create(title: str | None, idempotency_key: str | None = None) -> Call[Thread]:
    """Create a thread."""
    body = set_fields(title=title)
    answer = yield from call_json(
        "POST", f"{_BASE}/threads", body=body, idempotency_key=idempotency_key
    )
    return Thread.parse(answer)


def list_threads(query: Mapping[str, QueryValue]) -> Stream[Thread]:
    """Yield all threads, newest first."""
    return linked(f"{_BASE}/threads", query, Thread.parse)


def get(thread_id: str) -> Call[Thread]:
    """Return the thread."""
    return Thread.parse((yield from call_json("GET", _path(thread_id))))


def update(thread_id: str, title: str | None) -> Call[Thread]:
    """Change the title; None removes it."""
    answer = yield from call_json("PATCH", _path(thread_id), body={"title": title})
    return Thread.parse(answer)


def delete(thread_id: str) -> Call[None]:
    """Delete the thread permanently."""
    yield from call_json("DELETE", _path(thread_id))


def list_messages(thread_id: str, query: Mapping[str, QueryValue]) -> Stream[Message]:
    """Yield all messages, oldest first."""
    return linked(_path(thread_id, "/messages"), query, Message.parse)


def post(thread_id: str, content: str, idempotency_key: str | None = None) -> Call[Message]:
    """Append a message of the user."""
    answer = yield from call_json(
        "POST",
        _path(thread_id, "/messages"),
        body={"content": content},
        idempotency_key=idempotency_key,
    )
    return Message.parse(answer)


def run(thread_id: str, options: RunOptions, idempotency_key: str | None = None) -> Call[str]:
    """Start a run that answers the messages; return its id."""
    answer: Any = yield from call_json(
        "POST",
        _path(thread_id, "/runs"),
        body=set_fields(**vars(options)),
        idempotency_key=idempotency_key,
    )
    return str(answer["run_id"])


def list_runs(thread_id: str, query: Mapping[str, QueryValue]) -> Stream[ThreadRun]:
    """Yield the runs of the thread, newest first."""
    return linked(_path(thread_id, "/runs"), query, ThreadRun.parse)


def personas() -> Call[list[Persona]]:
    """Return all versions of all personas."""
    answer = yield from call_json("GET", f"{_BASE}/personas")
    return [Persona.parse(row) for row in answer]


def routes() -> Call[list[Route]]:
    """Return the routes."""
    answer = yield from call_json("GET", f"{_BASE}/routes")
    return [Route.parse(row) for row in answer]


class Conversation:
    """The state of a chat: its thread, which the first message creates, and how runs answer."""

    def __init__(self, thread_id: str | None, title: str | None, options: RunOptions) -> None:
        self.thread_id = thread_id
        self.run_id: str | None = None
        """The last run."""
        self._title = title
        self._options = options

    def send(self, content: str) -> Call[str]:
        """Append a message and start a run; return the id of the run."""
        if self.thread_id is None:
            thread = yield from create(self._title)
            self.thread_id = thread.id
        yield from post(self.thread_id, content)
        self.run_id = yield from run(self.thread_id, self._options)
        return self.run_id

    def ask(self, content: str, timeout: float | None) -> Call[str]:
        """Append a message; return the text of the answer. Raise as `runs.result`."""
        run_id = yield from self.send(content)
        output = yield from result(run_id, timeout)
        return str(output.get("content", output))
