"""Run a durable agent without a service: with an in-memory journal, and with crashes.

Every message between the agent and the journal passes through JSON, as it does on AWS. The waits
of `ctx.sleep` end at once.
"""

import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from mimetypes import guess_type
from types import MappingProxyType
from typing import Any, Literal

from runyard.durable.handler import Agent
from runyard.durable.protocol import (
    PROTOCOL,
    FileInfo,
    JournalEntry,
    Message,
    Operation,
    Response,
    StepUsage,
)

MAX_INVOCATIONS = 10_000
Answers = Callable[[Operation], Any] | Iterable[Any]
# Where a run can be interrupted, relative to one invocation.
CrashPoint = Literal["response_lost", "state_lost", "operation_repeated"]
CRASH_POINTS: tuple[CrashPoint, ...] = ("response_lost", "state_lost", "operation_repeated")


class AgentFailed(Exception):  # noqa: N818 - the name in users' tests
    """The run failed. `code` is the code of `run.failed`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class InDoubt(Exception):  # noqa: N818 - the name in users' tests
    """A person must decide: the result of an unsafe step is unknown."""


@dataclass
class Result:
    """A run that completed: its output, its journal, and the events that the agent emitted.

    `usage` has what steps report of their own calls of models.
    """

    output: Any
    journal: list[JournalEntry]
    emitted: list[tuple[str, Any]] = field(default_factory=list)
    invocations: int = 0
    usage: list[StepUsage] = field(default_factory=list)


@dataclass(frozen=True)
class CrashReport:
    """The number of interrupted runs, and how many of them need a person to decide."""

    runs: int
    in_doubt: int


class _Journal:
    """The service's part of the protocol, for one run."""

    def __init__(
        self,
        agent: Agent,
        data: Mapping[str, Any],
        model: Answers,
        tools: Mapping[str, Callable[..., Any]],
        answers: Answers,
        files: Mapping[str, bytes] = MappingProxyType({}),
        messages: Sequence[Message] = (),
    ) -> None:
        self.result = Result(None, [])
        self._agent = agent
        self._run = {
            "id": "00000000-0000-4000-8000-000000000001",
            "agent": "test",
            "input": data,
            "files": [_file(*item) for item in files.items()],
            "messages": list(messages),
        }
        self._model, self._answers = _answerer("model", model), _answerer("answers", answers)
        self._tools = tools
        self._started: set[str] = set()
        self._held: str | None = None

    def run(self, crash_at: int = -1, point: CrashPoint = "state_lost") -> Result:
        for number in range(MAX_INVOCATIONS):
            self.result.invocations = number + 1
            is_crash = number == crash_at
            granted = self._started - self._recorded()
            response = self._invoke(sorted(granted))
            if is_crash and point == "response_lost":
                self._held = None
                if granted:
                    raise InDoubt(", ".join(sorted(granted)))
                continue
            self._record(response)
            if response["status"] == "completed":
                self.result.output = response.get("output")
                return self.result
            if response["status"] == "failed":
                error = response["error"]
                kind = f"{error['type']}: " if "type" in error else ""
                raise AgentFailed(error["code"], kind + error["message"])
            self._held = None if is_crash else response.get("held")
            self._act(response, is_repeated=is_crash and point == "operation_repeated")
        raise AssertionError(f"the agent did not end within {MAX_INVOCATIONS:,} invocations")

    def _invoke(self, may_run: list[str]) -> Response:
        not_after = datetime.now(UTC) + timedelta(seconds=60)
        request = {
            "protocol": PROTOCOL,
            "run": self._run,
            "journal": self.result.journal,
            "may_run": may_run,
            "not_after": not_after.isoformat(),
        }
        if self._held:
            request["held"] = self._held
        response: Response = json.loads(json.dumps(self._agent(json.loads(json.dumps(request)))))
        return response

    def _recorded(self) -> set[str]:
        return {entry["key"] for entry in self.result.journal}

    def _record(self, response: Response) -> None:
        for done in response["done"]:
            entry = JournalEntry(key=done["key"], digest=done["digest"])
            if "error" in done:
                entry["error"] = done["error"]
            else:
                entry["value"] = done.get("value")
            self._append(entry)
            if "usage" in done:
                self.result.usage.append(done["usage"])
        for emit in response["emits"]:
            self._append(JournalEntry(key=emit["key"], digest=emit["digest"]))
            self.result.emitted.append((emit["name"], emit["data"]))

    def _append(self, entry: JournalEntry) -> None:
        assert entry["key"] not in self._recorded(), f"{entry['key']} is recorded twice"
        self.result.journal.append(entry)

    def _act(self, response: Response, *, is_repeated: bool) -> None:
        for operation in response["ops"]:
            if operation["op"] == "step":
                self._started.add(operation["key"])
                continue
            if is_repeated and operation["op"] == "model":
                self._model(operation)  # The first response was lost.
            entry = JournalEntry(key=operation["key"], digest=operation["digest"])
            self._append(entry | self._outcome(operation))  # type: ignore[arg-type]

    def _outcome(self, operation: Operation) -> dict[str, Any]:
        args = operation["args"]
        match operation["op"]:
            case "sleep":
                return {"value": None}
            case "model":
                return {"value": _as_response(self._model(operation))}
            case "tool":
                return self._call_tool(operation["name"], args)
            case "approve":
                return {"value": _as_approval(self._answers(operation), args.get("params", {}))}
            case _:
                return {"value": self._answers(operation)}

    def _call_tool(self, name: str, args: Mapping[str, Any]) -> dict[str, Any]:
        if name not in self._tools:
            raise AssertionError(f"the agent calls the tool {name!r}: pass tools={{{name!r}: …}}")
        try:
            return {"value": _as_text(self._tools[name](**args))}
        except Exception as error:  # noqa: BLE001 - as the service: the agent receives the error
            return {"error": {"code": "tool_error", "message": str(error)}}


def run(
    agent: Agent,
    data: Mapping[str, Any] | None = None,
    *,
    model: Answers = (),
    tools: Mapping[str, Callable[..., Any]] | None = None,
    answers: Answers = (),
    files: Mapping[str, bytes] = MappingProxyType({}),
    messages: Sequence[Message] = (),
) -> Result:
    """Run the agent on the input `data` to its end, and return its output and journal.

    `model` has the responses of models in order: texts, or `{message, output?}`. `answers` has
    those of a person: any value for `ask`; True, False or `{is_approved, params?, feedback?}` for
    `approve`. Both can be functions of the operation. `files` has the bytes of files by their name,
    and `messages` those of a thread. Raise AgentFailed if the run fails.
    """
    service = _Journal(agent, dict(data or {}), model, tools or {}, answers, files, messages)
    try:
        return service.run()
    finally:
        agent.release()


def replay(
    agent: Agent, journal: Iterable[JournalEntry], data: Mapping[str, Any] | None = None
) -> Any:
    """Run the agent against a recorded journal, and return the output.

    Raise AgentFailed `code_changed` if the code differs, and AssertionError if it asks for an
    operation that the journal does not have.
    """

    def unknown(operation: Operation) -> Any:
        raise AssertionError(f"the journal has no {operation['key']}")

    service = _Journal(agent, dict(data or {}), unknown, {}, unknown)
    service.result.journal = list(journal)
    try:
        return service.run().output
    finally:
        agent.release()


def crash_everywhere(
    agent: Agent,
    data: Mapping[str, Any] | None = None,
    *,
    model: Callable[[], Answers] = tuple,
    tools: Mapping[str, Callable[..., Any]] | None = None,
    answers: Callable[[], Answers] = tuple,
    before: Callable[[], None] = lambda: None,
    check: Callable[[], None] = lambda: None,
) -> CrashReport:
    """Run the agent once without a crash, and once for each point where a crash can happen.

    Raise AssertionError if an interrupted run ends with another output. `model` and `answers` make
    the responses of each run. `before` is called before each run, to reset the effects that the
    test counts, and `check` after it, to count them.
    """

    def one_run(crash_at: int = -1, point: CrashPoint = "state_lost") -> Result:
        before()
        try:
            return _Journal(agent, dict(data or {}), model(), tools or {}, answers()).run(
                crash_at, point
            )
        finally:
            agent.release()
            check()

    expected = one_run()
    runs = in_doubt = 0
    for number, point in _points(expected.invocations):
        runs += 1
        try:
            result = one_run(number, point)
        except InDoubt:
            in_doubt += 1
            continue
        assert result.output == expected.output, (
            f"the run that was interrupted at invocation {number + 1} ({point}) returned "
            f"{result.output!r}, not {expected.output!r}"
        )
    return CrashReport(runs, in_doubt)


def _points(invocations: int) -> Iterator[tuple[int, CrashPoint]]:
    for number in range(invocations):
        for point in CRASH_POINTS:
            yield number, point


def _file(name: str, content: bytes) -> FileInfo:
    url = "data:application/octet-stream;base64," + b64encode(content).decode()
    kind = guess_type(name)[0] or "application/octet-stream"
    return FileInfo(id=name, name=name, mime_type=kind, size=len(content), url=url)


def _answerer(name: str, answers: Answers) -> Callable[[Operation], Any]:
    if callable(answers):
        return answers
    iterator = iter(answers)

    def answer(operation: Operation) -> Any:
        try:
            return next(iterator)
        except StopIteration:
            raise AssertionError(f"the agent asks for {operation['key']}: extend {name}") from None

    return answer


def _as_text(result: Any) -> str:
    """Return the result of a tool as the service returns it to the code: text, or JSON as text."""
    return result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)


def _as_response(response: Any) -> Any:
    if isinstance(response, str):
        return {"message": {"role": "assistant", "content": response}, "usage": {}}
    return response


def _as_approval(answer: Any, params: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(answer, bool):
        answer = {"is_approved": answer}
    return {**answer, "params": {**params, **answer.get("params", {})}}
