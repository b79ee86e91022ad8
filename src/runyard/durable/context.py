"""The context of a run: the operations that the code of an agent can use."""

import asyncio
import functools
import threading
import uuid
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from runyard.durable import keys
from runyard.durable.execution import Execution
from runyard.durable.protocol import Effect, Message, RunInfo, StepUsage
from runyard.durable.results import Approval, File, ModelResponse

T = TypeVar("T")


class Context:
    """The operations of one run. Each is recorded, and returns its recorded result in a replay."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution

    @property
    def run(self) -> RunInfo:
        """The run: `id`, `agent`, `input`, and if known `user_id`, `session_id`, `files`."""
        return self._execution.run

    @property
    def files(self) -> Sequence[File]:
        """The files of the run. `read` of a file returns its bytes; call it in a step."""
        return [
            File(
                file["id"],
                file["name"],
                file["mime_type"],
                file["size"],
                functools.partial(self._execution.open_file, file["id"]),
            )
            for file in self.run.get("files", ())
        ]

    @property
    def messages(self) -> Sequence[Message]:
        """The messages of the thread, oldest first; empty if the run is in no thread."""
        return self._execution.messages

    @functools.cached_property
    def sync(self) -> "SyncContext":
        """The same operations for code that runs in a thread and blocks."""
        return SyncContext(self, asyncio.get_running_loop())

    async def step(
        self,
        name: str,
        function: Callable[..., Any],
        /,
        *args: Any,
        effect: Effect = "unsafe",
        retry: int = 1,
        ident: Any = None,
        usage: Callable[[Any], StepUsage] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Call `function` once, and record its result, which must be JSON of at most 256 KB.

        A step with effect `unsafe` runs only after its start is recorded. If the worker then loses
        its result, a person decides whether the step is repeated. Steps with effect `none` or
        `idempotent` are repeated, and `retry` is their number of attempts. `ident` identifies the
        call if its arguments are not JSON. If the function calls a model, `usage` returns the
        tokens for its result, and the run counts them.

        Raise StepFailed if the function raises an exception.
        """
        if retry > 1 and effect == "unsafe":
            raise ValueError(
                f"The step {name!r} is unsafe, so it is never repeated: set effect='idempotent' "
                "or effect='none', or remove retry."
            )
        return await self._execution.step(
            name, function, args, kwargs, effect=effect, attempts=retry, ident=ident, usage=usage
        )

    async def call_model(
        self,
        messages: str | Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Mapping[str, Any]] = (),
        output_schema: Mapping[str, Any] | None = None,
        instructions: str = "",
        max_output_tokens: int | None = None,
        route: str | None = None,
    ) -> ModelResponse:
        """Request a response of a model. Its deltas go to the stream of the run.

        `messages` are `{role: user, content}`, `{role: assistant, content, tool_calls?}` and
        `{role: tool, tool_call_id, content}`; a string is one message of the user. `tools` are
        `{name, description, parameters}`: the agent's code makes the calls that the model asks for.
        `route` is one of `other_routes` in the agent's file; without it, the agent's own.
        """
        if isinstance(messages, str):
            messages = [{"role": "user", "content": messages}]
        args = {
            "messages": [dict(message) for message in messages],
            "tools": [dict(tool) for tool in tools],
            "output_schema": output_schema,
            "instructions": instructions,
            "max_output_tokens": max_output_tokens,
            "route": route,
        }
        return ModelResponse.from_journal(
            await self._execution.operation("model", "model", _set(args))
        )

    async def call_tool(self, name: str, /, **arguments: Any) -> Any:
        """Call a tool of the agent's file, and return its result as text.

        Raise StepFailed with the code that a model would receive.
        """
        return await self._execution.operation("tool", name, arguments)

    async def ask(
        self,
        prompt: str,
        *,
        form: Mapping[str, Any] | None = None,
        choices: Sequence[str] | None = None,
        expires_in: float | None = None,
        default: Any = None,
    ) -> Any:
        """Ask a person, and return the answer: a text, a choice, or the object of a form.

        `form` is a JSON Schema of type object. After `expires_in` seconds, return `default`, or
        fail the run if it is None.
        """
        args = {
            "prompt": prompt,
            "form": form,
            "choices": None if choices is None else list(choices),
            "expires_in": expires_in,
            "default": default,
        }
        return await self._execution.operation("ask", "ask", _set(args))

    async def approve(
        self,
        prompt: str,
        params: Mapping[str, Any] | None = None,
        *,
        editable: Sequence[str] = (),
        expires_in: float | None = None,
    ) -> Approval:
        """Ask a person to approve `params`. The person may change those that `editable` names.

        After `expires_in` seconds the request is denied.
        """
        args = {
            "prompt": prompt,
            "params": dict(params or {}),
            "editable": list(editable),
            "expires_in": expires_in,
        }
        value = await self._execution.operation("approve", "approve", _set(args))
        return Approval(value["is_approved"], value["params"], value.get("feedback"))

    async def sleep(
        self,
        seconds: float = 0,
        *,
        minutes: float = 0,
        hours: float = 0,
        days: float = 0,
        until: datetime | None = None,
    ) -> None:
        """Pause the run without cost, for a duration or until a time with a time zone."""
        if until is not None:
            if until.tzinfo is None:
                raise ValueError("until needs a time zone: datetime.now(UTC), for example")
            args: dict[str, Any] = {"until": until.astimezone(UTC).isoformat()}
        else:
            duration = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
            args = {"seconds": duration.total_seconds()}
        await self._execution.operation("sleep", "sleep", args)

    def emit(self, name: str, data: Any = None) -> None:
        """Send an event of the agent's own to the stream of the run."""
        self._execution.emit(name, data)

    def scope(self, name: str) -> AbstractContextManager[None]:
        """Count the operations within on their own, so that other code does not change their keys.

        Use it for branches that start in an order that can change.
        """
        return keys.named_scope(name)

    async def now(self) -> datetime:
        """Return the current time in UTC, which is the same time in each replay."""
        value = await self.step("now", lambda: datetime.now(UTC).isoformat(), effect="none")
        return datetime.fromisoformat(value)

    def uuid(self) -> uuid.UUID:
        """Return a random UUID, which is the same in each replay."""
        return uuid.UUID(int=self._execution.random("uuid").getrandbits(128), version=4)

    def random(self) -> float:
        """Return a random number from 0 to 1, which is the same in each replay."""
        return self._execution.random("random").random()


class SyncContext:
    """The operations of a context for code that blocks. Each method waits for its result.

    Do not use it on the event loop: a coroutine uses the `Context` itself.
    """

    def __init__(self, context: Context, loop: asyncio.AbstractEventLoop) -> None:
        self._context = context
        self._loop = loop
        self._loop_thread = threading.get_ident()

    @property
    def run(self) -> RunInfo:
        """The run, as `Context.run`."""
        return self._context.run

    @property
    def files(self) -> Sequence[File]:
        """The files, as `Context.files`."""
        return self._context.files

    @property
    def messages(self) -> Sequence[Message]:
        """The messages, as `Context.messages`."""
        return self._context.messages

    def step(self, name: str, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Do `Context.step`."""
        return self._wait(self._context.step(name, function, *args, **kwargs))

    def call_model(
        self, messages: str | Sequence[Mapping[str, Any]], **options: Any
    ) -> ModelResponse:
        """Do `Context.call_model`."""
        return self._wait(self._context.call_model(messages, **options))

    def call_tool(self, name: str, /, **arguments: Any) -> Any:
        """Do `Context.call_tool`."""
        return self._wait(self._context.call_tool(name, **arguments))

    def ask(self, prompt: str, **options: Any) -> Any:
        """Do `Context.ask`."""
        return self._wait(self._context.ask(prompt, **options))

    def approve(
        self, prompt: str, params: Mapping[str, Any] | None = None, **options: Any
    ) -> Approval:
        """Do `Context.approve`."""
        return self._wait(self._context.approve(prompt, params, **options))

    def sleep(self, seconds: float = 0, **duration: Any) -> None:
        """Do `Context.sleep`."""
        self._wait(self._context.sleep(seconds, **duration))

    def emit(self, name: str, data: Any = None) -> None:
        """Do `Context.emit`."""

        async def emit() -> None:
            self._context.emit(name, data)

        self._wait(emit())

    def scope(self, name: str) -> AbstractContextManager[None]:
        """Do `Context.scope`."""
        return self._context.scope(name)

    def now(self) -> datetime:
        """Do `Context.now`."""
        return self._wait(self._context.now())

    def uuid(self) -> uuid.UUID:
        """Do `Context.uuid`."""
        return self._context.uuid()

    def random(self) -> float:
        """Do `Context.random`."""
        return self._context.random()

    def _wait(self, operation: Coroutine[Any, Any, T]) -> T:
        if threading.get_ident() == self._loop_thread:
            operation.close()
            raise RuntimeError("ctx.sync blocks the event loop here: await the method of ctx.")

        async def adopted() -> T:
            keys.adopt_scope()
            return await operation

        return asyncio.run_coroutine_threadsafe(adopted(), self._loop).result()


def _set(args: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that are set: a new optional argument does not change old digests."""
    return {name: value for name, value in args.items() if value not in (None, "", [], ())}
