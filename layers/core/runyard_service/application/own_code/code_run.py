"""Advance an agent in the user's own code: invoke its function, then do what it asks for.

    invoke the function ──▶ record results of steps, events, new operations ──▶ models, tools ─┐
           ▲                                                                                   │
           └──────────── while there is a new result, or a step that may run ◀─────────────────┘

The run pauses when nothing else is left than to wait for people or for a time. The function is a
stranger's: it runs an unsafe step only after the log has `agent.step.started`, and a step whose
result is lost is decided by a person.
"""

import asyncio
from collections.abc import Sequence

from runyard_service.agents.code.function import (
    FunctionVersion,
    invoke,
    resolve_version,
)
from runyard_service.agents.code.protocol import (
    AgentCodeError,
    CodeResponse,
    Operation,
    output_of,
)
from runyard_service.application.own_code.code_journal import CodeJournal
from runyard_service.application.own_code.invocation_requests import InvocationRequests
from runyard_service.application.own_code.operation_events import (
    events_of_done,
    start_event,
)
from runyard_service.application.steps.call_model import call_model
from runyard_service.application.steps.retries import next_delay
from runyard_service.application.steps.run_context import RunContext
from runyard_service.application.steps.tool_calls.actions import (
    AllowStep,
    KeepWaiting,
    ResolveWithoutCall,
    Sleep,
)
from runyard_service.application.steps.tool_calls.call_events import resolution_event
from runyard_service.application.steps.tool_calls.call_tools import call_tools, resume
from runyard_service.application.steps.tool_calls.next_action import next_action
from runyard_service.application.steps.tool_calls.requested_input import RequestInput
from runyard_service.domain.clock import now, parse
from runyard_service.domain.errors import (
    FunctionUnavailableError,
    LimitExceededError,
    TerminalError,
)
from runyard_service.domain.event_payloads.runs import CodeVersion
from runyard_service.domain.events import NewEvent
from runyard_service.domain.steps import ToolCallState

Wait = RequestInput | KeepWaiting | Sleep


async def resolve_code(ctx: RunContext) -> CodeVersion:
    """Return the `code` of `run.started`: the version that the run uses to its end."""
    definition = ctx.definition
    assert definition.function is not None, "an agent of kind code has a function"
    prefix = ctx.deps.agent_function_prefix
    version = await asyncio.to_thread(
        resolve_version, definition.function, definition.alias, prefix
    )
    return version.to_json()


async def advance_code(ctx: RunContext) -> list[Wait]:
    """Do the next thing for an agent's own code. Return what it waits for, if nothing else is left.

    Raise TerminalError if the code fails the run, RetryableError if another attempt can succeed.
    """
    if ctx.code_run is None:
        ctx.code_run = CodeRun(ctx)
    return await ctx.code_run.advance()


class CodeRun:
    """The code of one run in one worker: its journal, and what it has asked for.

    `invocations` is the number of invocations of its function.
    """

    def __init__(self, ctx: RunContext) -> None:
        self._ctx = ctx
        self._journal = CodeJournal()
        self._requests = InvocationRequests(ctx.deps.stores, ctx.journal.run, ctx.definition.key)
        self._models: list[Operation] = []
        self._held: str | None = None
        # The number of entries that the newest invocation received; -1 before the first.
        self._sent = -1
        self._has_more = False
        self.invocations = ctx.history.invocations

    async def advance(self) -> list[Wait]:
        """Do the operations that this worker can do, then invoke the function or return waits."""
        ctx = self._ctx
        if ctx.history.has_new_answer:
            await resume(ctx)  # A person has answered while the code ran.
        requests: Sequence[Wait] = await call_tools(ctx)
        await self._end_sleeps()
        if self._models:
            ctx.budget.check()
            with ctx.timer.time_model():
                # If this worker has no time left, the next one asks the code again.
                await call_model(ctx, self._models[0])
            self._journal.catch_up(ctx.history.durable_events)
            self._models = [each for each in self._models if each.key not in self._journal.keys]
            return []
        self._journal.catch_up(ctx.history.durable_events)
        allowed = self._allowed_steps()
        if self._has_more or allowed or len(self._journal.entries) > self._sent:
            await self._invoke(allowed)
            return []
        if ctx.history.has_new_answer:
            return []
        still_open = [KeepWaiting() for _ in ctx.history.open_requests]
        waits = [*requests, *self._sleeps(), *still_open]
        if not waits:
            raise AgentCodeError("agent_stuck", "The code waits for operations that have results.")
        return waits

    def _allowed_steps(self) -> dict[str, ToolCallState]:
        """Return the unsafe steps that the code may run now, by key."""
        found = {}
        for call in self._ctx.history.unfinished:
            if call.op is not None and call.kind == "step":
                action = next_action(self._ctx.definition, call, self._ctx.origin_of(call))
                if isinstance(action, AllowStep):
                    found[call.op["key"]] = call
        return found

    def _sleeps(self) -> list[Sleep]:
        calls = [call for call in self._ctx.history.unfinished if call.kind == "sleep"]
        return [Sleep(call.input["until"]) for call in calls]

    async def _end_sleeps(self) -> None:
        """Record the end of the sleeps whose time has come."""
        due = [
            call
            for call in self._ctx.history.unfinished
            if call.kind == "sleep" and parse(call.input["until"]) <= now()
        ]
        if due:
            result = ResolveWithoutCall("")
            await self._ctx.journal.append(
                [resolution_event(self._ctx, call, result) for call in due]
            )

    async def _invoke(self, allowed: dict[str, ToolCallState]) -> None:
        ctx = self._ctx
        self._sent = len(self._journal.entries)
        response = await self._call_function(allowed)
        done = events_of_done(ctx, response, allowed)
        try:
            new = self._start_events(response, len(done))
            output = output_of(response, ctx.definition.output_schema)
        except TerminalError:
            # What the function has done is recorded, also if the run may do no more.
            if done:
                await ctx.journal.append(done)
            raise
        self._held, self._has_more = response.held, response.more
        if response.status == "completed":
            await ctx.journal.complete(output, [*done, *new])
            return
        if any("usage" in event.data for event in done):
            # A step has called a model by itself. Check this before the next step may run.
            await ctx.journal.append(done)
            ctx.budget.check_spent()
            done = []
        if done or new:
            await ctx.journal.append([*done, *new])
        if response.error is not None:
            code, error = response.error.code, response.error
            kind = f"{error.type}: " if error.type else ""
            raise AgentCodeError(code, f"{kind}{error.message}")
        self._models = [each for each in response.ops if each.op == "model"]

    async def _call_function(self, allowed: dict[str, ToolCallState]) -> CodeResponse:
        """Invoke the function. Repeat an invocation that Lambda broke, if no step is in doubt."""
        ctx, attempt = self._ctx, 1
        version = FunctionVersion.from_json(ctx.history.code)
        seconds = ctx.definition.invocation_timeout
        while True:
            self._count_invocation()
            request = await asyncio.to_thread(
                self._requests.make, self._journal, seconds, sorted(allowed)
            )
            if self._held is not None:
                request["held"] = self._held
            self._held = None
            try:
                timeout = seconds + ctx.deps.reserve_seconds / 2
                return await asyncio.to_thread(invoke, version, request, timeout)
            except FunctionUnavailableError as error:
                if allowed and error.was_started:
                    # The steps may have run: a person decides.
                    for call in allowed.values():
                        ctx.dispatched_here.discard(call.id)
                    return CodeResponse(protocol=1, status="waiting", more=True)
                delay = next_delay(ctx, attempt, seconds, None)
                if delay is None:
                    raise
                await asyncio.sleep(delay)
                attempt += 1

    def _start_events(self, response: CodeResponse, done: int) -> list[NewEvent]:
        """Return the starts of the new operations, except calls of models.

        `done` is the number of operations that the response has ended. Raise LimitExceededError if
        there are too many operations.
        """
        open_keys = {call.op["key"] for call in self._ctx.history.unfinished if call.op}
        new = [
            operation
            for operation in response.ops
            if operation.op != "model"
            and operation.key not in open_keys
            and operation.key not in self._journal.keys
        ]
        self._check_operations(done + len(new))
        return [start_event(self._ctx, operation) for operation in new]

    def _count_invocation(self) -> None:
        limit = self._ctx.definition.limits.invocations
        if self.invocations >= limit:
            raise LimitExceededError(
                f"the run has used its {limit} invocations of its function: raise"
                " limits.invocations, or let branches of the code ask at the same time"
            )
        self.invocations += 1

    def _check_operations(self, new: int) -> None:
        limit = self._ctx.definition.limits.operations
        if len(self._journal.entries) + new > limit:
            raise LimitExceededError(
                f"the run has used its {limit} operations: raise limits.operations, or do more in"
                " one step"
            )
