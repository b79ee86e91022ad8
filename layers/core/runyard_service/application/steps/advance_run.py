"""Advance a run by as many steps as fit the time. Journal each step before and after its effects.

A step is one response of the model and the tool calls in it. Every decision is taken from the log,
so a worker that finds an interrupted step continues it.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from runyard_service.agents.code.protocol import AgentCodeError
from runyard_service.agents.conversation import output_of
from runyard_service.agents.definitions.models import Limits
from runyard_service.agents.mcp.base import LIST_SECONDS
from runyard_service.application.input_requests.changed_tools import (
    CHANGED_TOOLS,
    needs_approval,
)
from runyard_service.application.input_requests.expiry import (
    close_expired,
    wait_seconds_for,
)
from runyard_service.application.input_requests.limit_increase import raise_if_denied
from runyard_service.application.own_code.code_run import Wait, advance_code, resolve_code
from runyard_service.application.runs.journal import Journal
from runyard_service.application.steps.async_journal import AsyncJournal
from runyard_service.application.steps.call_model import call_model
from runyard_service.application.steps.compact_context import (
    compact_if_due,
    compact_if_rejected,
)
from runyard_service.application.steps.daily_caps import release
from runyard_service.application.steps.genai_spans import agent_span
from runyard_service.application.steps.mcp.list_tools import (
    has_missing_lists,
    list_tools,
)
from runyard_service.application.steps.run_context import RunContext, WorkerDeps
from runyard_service.application.steps.tool_calls.call_tools import (
    call_tools,
    max_duration,
    resume,
)
from runyard_service.application.steps.tool_calls.requested_input import RequestInput
from runyard_service.domain.errors import LimitExceededError, SupersededError, TerminalError
from runyard_service.domain.input_requests import seconds_left
from runyard_service.domain.runs import Execution
from runyard_service.observability import log_context

Outcome = Literal["more", "needs_input", "finished"]


@dataclass(frozen=True)
class AdvanceResult:
    """How far the worker advanced the run.

    `wait_seconds` is the most that a person has to answer. `limit` names the limit that a person
    may raise, if the run reached one; it is `tools` if a person may allow changed tools.
    `last_sequence` is that of the last event when the worker found that it needs a person.
    `finished` means that the run has ended or another execution owns it.
    """

    outcome: Outcome
    wait_seconds: float = 0
    limit: str = ""
    last_sequence: int = 0


async def advance_run(deps: WorkerDeps, execution: Execution, seconds: float) -> AdvanceResult:
    """Advance the run of this execution for about `seconds` at most.

    Record each error that ends the run in its log, and return `finished`. Raise RetryableError if
    another attempt can succeed.
    """
    deadline = time.monotonic() + seconds
    journal = await asyncio.to_thread(Journal.open, deps.stores, execution.run_id)
    if journal.history.has_ended or journal.run.current_execution > execution:
        return AdvanceResult("finished")
    ctx = RunContext(deps, AsyncJournal(journal), deadline)
    try:
        async with agent_span(ctx):
            result = await _advance_or_record_error(ctx)
        # Only here, when no task of this worker uses the journal any more.
        journal.close()
        return result
    except SupersededError:
        if ctx.history.has_ended:
            return AdvanceResult("finished")
        raise


async def _advance_or_record_error(ctx: RunContext) -> AdvanceResult:
    try:
        return await _advance(ctx)
    except LimitExceededError as error:
        if error.limit and _limits(ctx).on_limit == "ask":
            await release(ctx)
            return _needs_input(ctx, await _shortest_wait(ctx, []), error.limit)
        return await _fail(ctx, error)
    except TerminalError as error:
        return await _fail(ctx, error)


async def _fail(ctx: RunContext, error: TerminalError) -> AdvanceResult:
    provider = error.provider.to_json() if error.provider else None
    await ctx.journal.fail(error.code, str(error), provider)
    await release(ctx)
    return AdvanceResult("finished")


def _limits(ctx: RunContext) -> Limits:
    return ctx.snapshot.definition.limits


def _needs_input(ctx: RunContext, wait_seconds: float, limit: str = "") -> AdvanceResult:
    return AdvanceResult("needs_input", wait_seconds, limit, ctx.history.last)


async def _advance(ctx: RunContext) -> AdvanceResult:
    await _recover_if_needed(ctx)
    if ctx.history.status == "paused":
        open_requests = await close_expired(ctx.journal)
        sleep = ctx.history.seconds_of_sleep
        if ctx.history.open_requests and ctx.history.is_waiting and sleep > 0:
            return _needs_input(ctx, min(sleep, seconds_left(open_requests)))
        await resume(ctx)
    raise_if_denied(ctx.history)
    while not ctx.history.has_ended:
        ctx.budget.check_counted()
        output = None
        if ctx.definition.kind == "dialogue":
            output = output_of(ctx.definition, ctx.history)
        if output is not None:
            ctx.timer.finish()
            await ctx.journal.complete(output)
            break
        # Not for a run that ends: no worker reads it again.
        await ctx.journal.checkpoint()
        if not _has_dispatched_calls(ctx) and not ctx.has_time_for(_max_duration(ctx)):
            return AdvanceResult("more")
        _check_limits(ctx)
        if has_missing_lists(ctx):
            await list_tools(ctx)
        if needs_approval(ctx.snapshot, ctx.history):
            return _needs_input(ctx, wait_seconds_for(_limits(ctx), []), CHANGED_TOOLS)
        if waits := await _run_step(ctx):
            ctx.timer.pause()
            return _needs_input(ctx, await _shortest_wait(ctx, waits))
    return AdvanceResult("finished")


async def _shortest_wait(ctx: RunContext, waits: Sequence[Wait]) -> float:
    """Return the seconds of the shortest of the waits and of the requests that are open already."""
    seconds = wait_seconds_for(_limits(ctx), waits)
    if ctx.history.open_requests:
        read = ctx.deps.stores.input_requests.open_of_run
        seconds = min(seconds, seconds_left(await asyncio.to_thread(read, ctx.journal.run.id)))
    return seconds


def _has_dispatched_calls(ctx: RunContext) -> bool:
    """Return whether the log says `started` for calls that only this worker knows as not made."""
    return any(call.id in ctx.dispatched_here for call in ctx.history.unfinished)


async def _run_step(ctx: RunContext) -> Sequence[Wait]:
    """Call the model, or the tools of its last message. Return the input requests of the calls.

    Instead of the model's call, the conversation may be compacted first. An agent's own code
    decides what is next by itself.
    """
    if ctx.definition.kind == "code":
        return await advance_code(ctx)
    is_new, step_count = not ctx.history.unfinished, len(ctx.history.steps)
    log_context.bind(step=step_count + is_new)
    requests: list[RequestInput] = []
    if is_new and await compact_if_due(ctx):
        return requests
    if is_new:
        with ctx.timer.time_model():
            await compact_if_rejected(ctx, call_model(ctx))
        if len(ctx.history.steps) == step_count:
            return requests
    else:
        with ctx.timer.time_tools():
            requests = await call_tools(ctx)
    if not ctx.history.unfinished:
        ctx.timer.finish()
    return requests


async def _recover_if_needed(ctx: RunContext) -> None:
    """Record that this worker starts the run, or recovers it after a crash."""
    if ctx.history.status == "created":
        await _start(ctx)
    if ctx.history.is_mid_step and ctx.history.last_type != "run.recovered":
        # Also a fence: if an earlier worker is still alive, this event makes its next append fail.
        await ctx.journal.recover("step_interrupted")


async def _start(ctx: RunContext) -> None:
    code, failure = None, None
    if ctx.definition.kind == "code":
        try:
            code = await resolve_code(ctx)
        except AgentCodeError as error:
            failure = error  # The run fails after it has started, as with every other error.
    try:
        await ctx.journal.start(code)
    except SupersededError:
        # The sweep can write before the first worker. The journal has read its event by now.
        if ctx.history.status != "created":
            raise
        await ctx.journal.start_again(code)
    if failure is not None:
        raise failure


def _check_limits(ctx: RunContext) -> None:
    """Check the limits, unless calls of the step were dispatched or approved already.

    So no call is made after which no response could follow. An agent's own code decides by itself
    whether a response follows, so only its time is checked here.
    """
    if ctx.definition.kind == "code":
        if not _has_dispatched_calls(ctx):
            ctx.budget.check_time()
        return
    if all(call.phase == "requested" for call in ctx.history.unfinished):
        ctx.budget.check_time()
        ctx.budget.check()


def _max_duration(ctx: RunContext) -> float:
    """Return the seconds that the next action may take: a response, or the slowest call.

    Before the first response, the tools of MCP servers are listed.
    """
    unfinished = ctx.history.unfinished
    if ctx.definition.kind == "code":
        routes = [ctx.snapshot.route, *(other.route for other in ctx.snapshot.other_routes)]
        own = max(ctx.definition.invocation_timeout, *(route.timeout for route in routes))
        return max(own, max_duration(ctx, unfinished))
    if unfinished:
        return max_duration(ctx, unfinished)
    summary_route = ctx.snapshot.summary_route
    longest = max(ctx.snapshot.route.timeout, summary_route.timeout if summary_route else 0)
    return longest + (LIST_SECONDS if has_missing_lists(ctx) else 0)
