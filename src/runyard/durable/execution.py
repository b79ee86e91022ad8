"""One copy of an agent's code in this process: it runs until it waits for Runyard, then pauses."""

import asyncio
import contextvars
import functools
import inspect
import random
import traceback
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from typing import Any
from urllib.request import urlopen

from runyard.durable import keys
from runyard.durable.errors import Abandoned, AgentFailure
from runyard.durable.journal import READ_SECONDS, Journal, get_json, read_journal
from runyard.durable.protocol import (
    PROTOCOL,
    Done,
    Effect,
    Emit,
    Failure,
    JournalEntry,
    Message,
    Operation,
    Request,
    Response,
    RunInfo,
    StepUsage,
)
from runyard.durable.values import digest_of, to_result

# The loop is quiet after this many passes and seconds in which the code asked for nothing new:
# other branches of the code get the time to ask in the same invocation.
_QUIET_PASSES = 20
_QUIET_SECONDS = 0.005
# Code that catches its cancellation is left alone after this.
_ABANDON_SECONDS = 0.5
# The results of one response. Lambda allows 6 MB, and JSON escapes some of the text again.
_MAX_DONE_BYTES = 3 * 1024 * 1024

_inside_step: contextvars.ContextVar[str] = contextvars.ContextVar("runyard_step", default="")


class Execution:
    """The state of one run in this process. All methods run on the event loop of the agents."""

    def __init__(self, run: RunInfo, executor: Executor) -> None:
        self.run = run
        self.journal = Journal()
        self._executor = executor
        self._task: asyncio.Task[Any] | None = None
        self._failure: AgentFailure | None = None
        self._may_run: set[str] = set()
        self._is_replay = False
        self._deadline = 0.0
        self._pending: dict[str, tuple[Operation, asyncio.Future[None]]] = {}
        self._deferred: list[asyncio.Future[None]] = []
        self.running_steps: list[str] = []
        self._activity = 0
        self._changed = asyncio.Event()
        self._done: list[Done] = []
        self._done_bytes = 0
        self._emits: list[Emit] = []

    async def invoke(
        self, start: Callable[[], Awaitable[Any]], request: Request, seconds: float
    ) -> Response:
        """Run or continue the code until it waits, and return what it did and asks for.

        No step starts more than `seconds` from now.
        """
        self.run = request["run"]  # The addresses in an earlier request may have expired.
        self._done, self._done_bytes, self._emits = [], 0, []
        self._deadline = asyncio.get_running_loop().time() + seconds
        self._is_replay = request.get("is_replay", False)
        self._may_run = set(request.get("may_run", ()))
        self.journal.update(read_journal(request))
        if self._task is None:
            self._task = asyncio.ensure_future(self._run(start))
        else:
            self._wake()
        await self._wait_until_idle(self._task)
        if self._failure is not None:
            await self.abandon()
        return self._response(self._task)

    @functools.cached_property
    def messages(self) -> list[Message]:
        """The messages of the thread; from their address if the request does not have them."""
        if "messages_url" in self.run:
            messages: list[Message] = get_json(self.run["messages_url"])
            return messages
        return self.run.get("messages", [])

    def open_file(self, file_id: str) -> Any:
        """Return the response with the bytes of a file, by the address of the newest request."""
        [url] = [file["url"] for file in self.run["files"] if file["id"] == file_id]
        return urlopen(url, timeout=READ_SECONDS)

    async def abandon(self) -> None:
        """End this copy of the code without a result."""
        self._failure = self._failure or AgentFailure("abandoned", "another copy of the code runs")
        waiting = [future for _, future in self._pending.values()] + self._deferred
        for future in waiting:
            if not future.done():
                future.set_exception(Abandoned())
        if self._task is not None:
            self._task.cancel()
            done, _ = await asyncio.wait({self._task}, timeout=_ABANDON_SECONDS)
            # A retrieved error is not reported: this copy has no result.
            _ = [task.exception() for task in done if not task.cancelled()]

    async def _run(self, start: Callable[[], Awaitable[Any]]) -> Any:
        keys.enter_root(keys.Scope())
        return await start()

    def _wake(self) -> None:
        """Continue the operations that this request answers."""
        for key, (_, future) in self._pending.items():
            if (key in self.journal or key in self._may_run) and not future.done():
                future.set_result(None)
        deferred, self._deferred = self._deferred, []
        for future in deferred:
            future.set_result(None)

    # Operations of the code.

    async def operation(self, op: Any, name: str, args: Mapping[str, Any]) -> Any:
        """Return the recorded result of an operation, or wait for it.

        Raise StepFailed for a recorded error.
        """
        key, digest = self._next(op, name, args)
        if key not in self.journal:
            operation = Operation(key=key, op=op, name=name, digest=digest, args=dict(args))
            await self._wait_for(operation)
        return self._result(key, digest, name)

    async def step(
        self,
        name: str,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        *,
        effect: Effect,
        attempts: int,
        ident: Any,
        usage: Callable[[Any], StepUsage] | None,
    ) -> Any:
        """Return the recorded result of a step, or run it where that is allowed."""
        try:
            identity = [list(args), dict(kwargs)] if ident is None else ident
            key, digest = self._next("step", name, identity)
        except TypeError as error:
            raise TypeError(
                f"An argument of the step {name!r} is not JSON: {error}. Pass ident=… with a JSON "
                "value that identifies the call."
            ) from None
        if key not in self.journal and effect == "unsafe" and key not in self._may_run:
            operation = Operation(
                key=key, op="step", name=name, digest=digest, args={}, effect=effect
            )
            await self._wait_for(operation)
        if key not in self.journal:
            await self._wait_for_time()
            done = Done(key=key, name=name, digest=digest, effect=effect)
            call = functools.partial(function, *args, **kwargs)
            await self._run_step(done, call, attempts, usage)
        return self._result(key, digest, name)

    def emit(self, name: str, data: Any) -> None:
        """Send an event of the agent's own to the stream of the run, once."""
        data = to_result(data, f"emit({name!r})")
        key, digest = self._next("emit", name, data)
        if key in self.journal:
            return
        self.journal.add(key, digest)
        self._emits.append(Emit(key=key, name=name, digest=digest, data=data))

    def random(self, name: str) -> random.Random:
        """Return a generator of random numbers, which is the same in each replay."""
        key, _ = self._next("random", name, None)
        return random.Random(f"{self.run['id']}/{key}")

    def _next(self, op: str, name: str, identity: Any) -> tuple[str, str]:
        if self._failure is not None:
            raise self._failure
        if inside := _inside_step.get():
            raise RuntimeError(
                f"The step {inside!r} uses ctx. A step cannot contain an operation: return its "
                "value, and call ctx from the agent's function."
            )
        self._activity += 1
        digest = digest_of(name, identity)
        key = keys.current_scope().next_key(op, name)
        self._check(key, digest)
        return key, digest

    def _result(self, key: str, digest: str, name: str) -> Any:
        self._activity += 1
        self._check(key, digest)
        return self.journal.result(key, name)

    def _check(self, key: str, digest: str) -> None:
        """Fail the run if the log has the key with another digest, whatever the code catches."""
        try:
            self.journal.check(key, digest)
        except AgentFailure as failure:
            self._failure = failure
            self._changed.set()
            raise

    async def _wait_for(self, operation: Operation) -> None:
        future = asyncio.get_running_loop().create_future()
        self._pending[operation["key"]] = (operation, future)
        self._changed.set()
        try:
            await future
        finally:  # Also if the code cancels the task that waits.
            self._pending.pop(operation["key"], None)

    async def _wait_for_time(self) -> None:
        """Wait for the next invocation if this one has no time or no room for another result."""
        while (
            self._is_replay
            or asyncio.get_running_loop().time() >= self._deadline
            or self._done_bytes >= _MAX_DONE_BYTES
        ):
            future = asyncio.get_running_loop().create_future()
            self._deferred.append(future)
            self._changed.set()
            await future

    async def _run_step(
        self,
        done: Done,
        call: Callable[[], Any],
        attempts: int,
        usage: Callable[[Any], StepUsage] | None,
    ) -> None:
        """Run a step, and add its result or its error to `done` and to the journal."""
        entry = JournalEntry(key=done["key"], digest=done["digest"])
        self.running_steps.append(done["name"])
        try:
            result = await self._call(done["name"], call, attempts)
            if usage is not None and any((reported := usage(result)).values()):
                done["usage"] = reported
            entry["value"] = done["value"] = to_result(result, f"The step {done['name']!r}")
        except Exception as error:  # noqa: BLE001 - recorded, then raised as StepFailed
            traceback.print_exception(error)  # The log of the function has it.
            failure = Failure(code="step_error", message=str(error), type=type(error).__name__)
            entry["error"] = done["error"] = failure
        finally:
            self.running_steps.remove(done["name"])
            self._activity += 1
            self._changed.set()
        self.journal.update([entry])
        self._done.append(done)
        self._done_bytes += len(str(done.get("value", "")))

    async def _call(self, name: str, call: Callable[[], Any], attempts: int) -> Any:
        token = _inside_step.set(name)
        try:
            for attempt in range(1, attempts + 1):
                try:
                    return await self._call_once(call)
                except Exception:
                    if attempt == attempts:
                        raise
                    await asyncio.sleep(min(0.1 * 2**attempt, 5))
        finally:
            _inside_step.reset(token)

    async def _call_once(self, call: Callable[[], Any]) -> Any:
        if inspect.iscoroutinefunction(call):
            return await call()
        # In a thread: a step that blocks must not stop the other branches.
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        result = await loop.run_in_executor(self._executor, context.run, call)
        return await result if inspect.isawaitable(result) else result

    # The end of an invocation.

    async def _wait_until_idle(self, task: "asyncio.Task[Any]") -> None:
        """Wait until the code ends, or asks for something and does nothing else."""
        while not task.done() and self._failure is None:
            self._changed.clear()
            if not self.running_steps and (self._pending or self._deferred):
                if await self._is_quiet(task):
                    return
                continue
            changed = asyncio.ensure_future(self._changed.wait())
            left = self._deadline - asyncio.get_running_loop().time()
            timeout = None if self.running_steps else max(0.0, left)
            await asyncio.wait({task, changed}, timeout=timeout, return_when="FIRST_COMPLETED")
            changed.cancel()
            if timeout == 0.0 and not (self._pending or self._deferred or self.running_steps):
                self._failure = AgentFailure("agent_stuck", _STUCK)

    async def _is_quiet(self, task: "asyncio.Task[Any]") -> bool:
        before = self._activity
        for passes in range(_QUIET_PASSES + 1):
            await asyncio.sleep(0 if passes < _QUIET_PASSES else _QUIET_SECONDS)
            if task.done() or self.running_steps or self._activity != before:
                return False
        return True

    def _response(self, task: "asyncio.Task[Any]") -> Response:
        response = Response(
            protocol=PROTOCOL, status="waiting", done=self._done, ops=[], emits=self._emits
        )
        if self._failure is None and not task.done():
            response["ops"] = [operation for operation, _ in self._pending.values()]
            if self._deferred:
                response["more"] = True
            return response
        try:
            output = self._output(task)
        except (AgentFailure, Exception) as error:  # noqa: BLE001 - the error of the run
            if not isinstance(error, AgentFailure):
                traceback.print_exception(error)
            response["status"], response["error"] = "failed", _as_failure(error)
        else:
            response["status"], response["output"] = "completed", output
        return response

    def _output(self, task: "asyncio.Task[Any]") -> Any:
        if self._failure is not None:
            raise self._failure
        return to_result(task.result(), "The agent")


_STUCK = (
    "The agent waits for something that is not an operation of ctx, for example a sleep, a lock or "
    "a network call outside of ctx.step. Runyard cannot continue it."
)


def _as_failure(error: BaseException) -> Failure:
    if isinstance(error, AgentFailure):
        return Failure(code=error.code, message=str(error))
    return Failure(code="agent_error", message=str(error), type=type(error).__name__)
