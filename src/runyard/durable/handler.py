"""The Lambda handler of an agent, and the event loop on which the code of the agents runs."""

import asyncio
import inspect
import json
import sys
import threading
import traceback
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import uuid4

from runyard.durable import protocol
from runyard.durable.context import Context
from runyard.durable.errors import Abandoned, AgentFailure
from runyard.durable.execution import Execution
from runyard.durable.protocol import Failure, Request, Response

T = TypeVar("T")

MAX_RESPONSE_BYTES = 5 * 1024 * 1024
# The most runs whose state a process holds between invocations.
_MAX_HELD = 50
_MAX_THREADS = 64
# A response after `not_after` must still reach Runyard.
_GRACE_SECONDS = 2.0
_OWN_FOLDER = __file__.rpartition("/")[0]


class _Loop:
    """The event loop of the agents, in a thread of its own.

    The handler waits in the main thread: so it can answer also if the code blocks the loop.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self.executor = ThreadPoolExecutor(_MAX_THREADS, "runyard-step")
        self._loop.set_default_executor(self.executor)
        self._loop.set_exception_handler(_report)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        self._loop.run_until_complete(self._loop.create_future())

    def run(self, coroutine: Coroutine[Any, Any, T], seconds: float) -> T:
        """Return the result of the coroutine. Raise TimeoutError after `seconds`."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result(seconds)
        except FutureTimeout:
            future.cancel()
            raise TimeoutError from None

    def blocking_line(self) -> str:
        """Return where the thread of the loop is: `file:line in function`."""
        frame = sys._current_frames().get(self._thread.ident or 0)
        stack = traceback.extract_stack(frame)
        own = [entry for entry in stack if not _is_library(entry.filename)]
        entry = (own or stack)[-1]
        return f"{entry.filename}:{entry.lineno} in {entry.name}: {entry.line}"


def _report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Report an error that no task has retrieved, unless it only ended a branch of the code."""
    if not isinstance(context.get("exception"), Abandoned | AgentFailure):
        loop.default_exception_handler(context)


def _is_library(filename: str) -> bool:
    return filename.startswith((sys.prefix, sys.base_prefix, "<", _OWN_FOLDER))


class Agent:
    """An agent in the user's own code, which is also its Lambda handler.

    Calling it with `(event, context)` does one invocation of protocol 1.
    """

    _loop: _Loop | None = None
    _lock = threading.Lock()

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.__name__ = getattr(function, "__name__", "agent")
        self.__doc__ = function.__doc__
        self._held: OrderedDict[str, Execution] = OrderedDict()

    def __call__(self, event: Request, context: Any = None) -> Response:
        """Run the code until it waits for Runyard, and return what it did and asks for."""
        if event.get("protocol") != protocol.PROTOCOL:
            return _failed(
                "protocol_mismatch",
                f"This function speaks protocol {protocol.PROTOCOL}, not "
                f"{event.get('protocol')!r}. Install the version of runyard that the service has.",
            )
        loop, seconds = self._the_loop(), _seconds_left(event, context)
        execution = self._held.pop(event.get("held", ""), None)
        execution = execution or Execution(event["run"], loop.executor)
        try:
            invocation = self._invoke(execution, event, seconds)
            return _checked(loop.run(invocation, seconds + _GRACE_SECONDS))
        except TimeoutError:
            if steps := execution.running_steps:
                text = f"{_names(steps)} did not end within {seconds:.0f} s. Raise"
                return _failed(
                    "agent_stuck",
                    f"{text} invocation_timeout and the timeout of the function, or do less in it.",
                )
            return _failed(
                "agent_stuck",
                f"The code did not answer within {seconds:.0f} s. It blocks at "
                f"{loop.blocking_line()}. Move work that blocks into ctx.step.",
            )

    def release(self) -> None:
        """Abandon the state of all runs that this process holds. Their next invocations replay."""
        held, self._held = self._held, OrderedDict()

        async def abandon() -> None:
            await asyncio.gather(*(execution.abandon() for execution in held.values()))

        if held:
            self._the_loop().run(abandon(), _GRACE_SECONDS)

    @classmethod
    def _the_loop(cls) -> _Loop:
        with cls._lock:
            if cls._loop is None:
                cls._loop = _Loop()
            return cls._loop

    async def _invoke(self, execution: Execution, event: Request, seconds: float) -> Response:
        response = await execution.invoke(lambda: self._start(execution), event, seconds)
        if event.get("is_replay"):
            await execution.abandon()
        elif response["status"] == "waiting":
            response["held"] = token = str(uuid4())
            self._held[token] = execution
            while len(self._held) > _MAX_HELD:
                await self._held.popitem(last=False)[1].abandon()
        return response

    def _start(self, execution: Execution) -> Awaitable[Any]:
        ctx = Context(execution)
        if inspect.iscoroutinefunction(self.function):
            awaitable: Awaitable[Any] = self.function(ctx, execution.run["input"])
            return awaitable
        return asyncio.to_thread(self.function, ctx.sync, execution.run["input"])


def agent(function: Callable[..., Any]) -> Agent:
    """Make a function `(ctx, input)` an agent: `ctx` is a Context, or a SyncContext without async.

    The result is the handler of the Lambda function.
    """
    if inspect.isasyncgenfunction(function) or inspect.isclass(function):
        raise TypeError("@agent needs a function (ctx, input) that returns its output")
    return Agent(function)


def _seconds_left(event: Request, context: Any) -> float:
    not_after = datetime.fromisoformat(event["not_after"])
    seconds = (not_after - datetime.now(UTC)).total_seconds()
    if hasattr(context, "get_remaining_time_in_millis"):
        remaining = context.get_remaining_time_in_millis() / 1000 - 2 * _GRACE_SECONDS
        seconds = min(seconds, remaining)
    return max(0.0, seconds)


def _names(steps: Sequence[str]) -> str:
    names = ", ".join(map(repr, steps))
    return f"The step {names}" if len(steps) == 1 else f"The steps {names}"


def _checked(response: Response) -> Response:
    """Return the response, or the error of one that Lambda would reject."""
    if len(json.dumps(response)) <= MAX_RESPONSE_BYTES:
        return response
    sizes = {operation["key"]: len(json.dumps(operation)) for operation in response["ops"]}
    key = max(sizes, key=lambda each: sizes[each], default="the response")
    return _failed(
        "invalid_response",
        f"The response is larger than {MAX_RESPONSE_BYTES:,} bytes, which Lambda would reject. The "
        f"largest part is {key}, with {sizes.get(key, 0):,} bytes: pass less to it, or store the "
        "value elsewhere and pass its address.",
    )


def _failed(code: str, message: str) -> Response:
    return Response(
        protocol=protocol.PROTOCOL,
        status="failed",
        done=[],
        ops=[],
        emits=[],
        error=Failure(code=code, message=message),
    )
