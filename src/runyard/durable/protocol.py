"""The messages between Runyard and the function of an agent, protocol 1.

Runyard invokes the function with a `Request`, and the function returns a `Response`. Both are JSON.
`docs/reference/own-code-protocol.md` describes them for other languages.
"""

from typing import Any, Literal, NotRequired, TypedDict

PROTOCOL = 1

Effect = Literal["none", "idempotent", "unsafe"]
OperationKind = Literal["model", "tool", "ask", "approve", "sleep", "step"]


class Failure(TypedDict):
    """An error as data. `type` is the class of the exception that caused it."""

    code: str
    message: str
    type: NotRequired[str]


class JournalEntry(TypedDict):
    """The recorded result of one operation; without `value` and `error` it is an emitted event."""

    key: str
    digest: str
    value: NotRequired[Any]
    error: NotRequired[Failure]


class FileInfo(TypedDict):
    """A file of the run. `url` returns its bytes, and is valid for this invocation."""

    id: str
    name: str
    mime_type: str
    size: int
    url: str


class Message(TypedDict):
    """A message of a thread. `role` is `user` or `assistant`."""

    role: str
    content: str


class RunInfo(TypedDict):
    """The run, as its start recorded it. A run in a thread has messages and no input.

    Messages over 1 MB are at `messages_url`.
    """

    id: str
    agent: str
    input: dict[str, Any]
    user_id: NotRequired[str]
    session_id: NotRequired[str]
    files: NotRequired[list[FileInfo]]
    messages: NotRequired[list[Message]]
    messages_url: NotRequired[str]


class Request(TypedDict):
    """One invocation.

    `may_run` has the keys of the unsafe steps whose start is recorded. `held` is the token of the
    newest recorded response. No step starts after `not_after` (RFC 3339, UTC). A journal over 4 MB
    is at `journal_url`. `is_replay` allows no step, whatever its effect.
    """

    protocol: int
    run: RunInfo
    not_after: str
    journal: NotRequired[list[JournalEntry]]
    journal_url: NotRequired[str]
    may_run: NotRequired[list[str]]
    held: NotRequired[str]
    is_replay: NotRequired[bool]


class StepUsage(TypedDict, total=False):
    """What a step reports of its own call of a model. `input_tokens` includes cached tokens."""

    input_tokens: int
    output_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    cost_usd: float


class Done(TypedDict):
    """A step that ended in this invocation: its result or its error."""

    key: str
    name: str
    digest: str
    effect: Effect
    value: NotRequired[Any]
    error: NotRequired[Failure]
    usage: NotRequired[StepUsage]


class Operation(TypedDict):
    """An operation that Runyard must do, or a step that it must allow (`op: step`)."""

    key: str
    op: OperationKind
    name: str
    digest: str
    args: dict[str, Any]
    effect: NotRequired[Effect]


class Emit(TypedDict):
    """An event of the agent's own for the stream of the run."""

    key: str
    name: str
    digest: str
    data: Any


class Response(TypedDict):
    """The end of one invocation.

    `ops` has every operation that the code waits for, also those of earlier responses. `more` asks
    for another invocation at once. `held` is a token for the state that this process holds.
    """

    protocol: int
    status: Literal["waiting", "completed", "failed"]
    done: list[Done]
    ops: list[Operation]
    emits: list[Emit]
    more: NotRequired[bool]
    output: NotRequired[Any]
    error: NotRequired[Failure]
    held: NotRequired[str]
