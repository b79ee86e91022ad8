"""Carry a run on: as many steps as fit the time, each journaled before and after.

A step is one reply of the model and the tool calls that it asks for. Everything is decided from the
log, so a worker that finds a step half done takes it up where it stands.
"""

import asyncio
import time
from dataclasses import dataclass
from functools import partial
from typing import Literal

from runyard_service.agents.conversation import answer_of
from runyard_service.agents.definitions.models import Limits
from runyard_service.application.input_requests.expiry import close_expired, wait_seconds_for
from runyard_service.application.input_requests.limit_increase import refused
from runyard_service.application.runs.journal import Journal
from runyard_service.application.steps.call_model import call_model
from runyard_service.application.steps.call_tools import (
    call_tools,
    max_duration,
    results_from_answers,
)
from runyard_service.application.steps.daily_caps import release
from runyard_service.application.steps.genai_spans import agent_span
from runyard_service.application.steps.next_action import RequestInput
from runyard_service.application.steps.run_context import RunContext, WorkerDeps
from runyard_service.domain.errors import FinalError, LimitExceededError, SupersededError
from runyard_service.domain.input_requests import seconds_left
from runyard_service.domain.runs import Execution
from runyard_service.observability import log_context

Outcome = Literal["more", "needs_input", "finished"]


@dataclass(frozen=True)
class AdvanceResult:
    """How far the run was carried; `wait_seconds` is how long a person has to answer at most.

    `limit` names the limit that a person is to be asked about, if that is what is needed, and
    `limit_at` is the event behind which a person turned out to be needed. `finished`: there is
    nothing more to do here, for the run has ended, or is carried by another execution.
    """

    outcome: Outcome
    wait_seconds: float = 0
    limit: str = ""
    limit_at: int = 0


async def advance_run(deps: WorkerDeps, execution: Execution, seconds: float) -> AdvanceResult:
    """Carry the run of this execution on for at most about `seconds`.

    Raises RetryableError where another attempt may get further; whatever ends the run for good is
    written to its log and gives `finished`.
    """
    deadline = time.monotonic() + seconds
    journal = await asyncio.to_thread(Journal.open, deps.stores, execution.run_id)
    if journal.history.has_ended or journal.run.carried_by > execution:
        return AdvanceResult("finished")
    ctx = RunContext(deps, journal, deadline)
    try:
        async with agent_span(ctx):
            advance = await _advance_or_fail(ctx)
        # Only here, where nothing is under way any more.
        journal.close()
        return advance
    except SupersededError:
        if ctx.history.has_ended:
            return AdvanceResult("finished")
        raise


async def _advance_or_fail(ctx: RunContext) -> AdvanceResult:
    try:
        return await _advance(ctx)
    except FinalError as error:
        if isinstance(error, LimitExceededError) and _can_ask_for_increase(ctx, error):
            await release(ctx)
            return _needs_input(ctx, wait_seconds_for(_limits(ctx), []), error.limit)
        code, message = error.code, str(error)
        await ctx.write(lambda: ctx.journal.fail(code, message))
        await release(ctx)
        return AdvanceResult("finished")


def _can_ask_for_increase(ctx: RunContext, error: LimitExceededError) -> bool:
    return bool(error.limit) and _limits(ctx).on_limit == "ask"


def _limits(ctx: RunContext) -> Limits:
    return ctx.snapshot.definition.limits


def _needs_input(ctx: RunContext, wait_seconds: float, limit: str = "") -> AdvanceResult:
    return AdvanceResult("needs_input", wait_seconds, limit, ctx.history.last)


async def _advance(ctx: RunContext) -> AdvanceResult:
    await _recover_if_needed(ctx)
    if ctx.history.status == "paused":
        waiting = await close_expired(ctx)
        if ctx.history.open_requests:
            return _needs_input(ctx, seconds_left(waiting))
        await _resume(ctx)
    if ctx.history.denied_limit_request:
        raise refused(ctx.history.denied_limit_request)
    while not ctx.history.has_ended:
        answer = answer_of(ctx.snapshot.definition, ctx.history)
        if answer is not None:
            ctx.timer.finish()
            await ctx.write(partial(ctx.journal.complete, answer))
            break
        # Not of a run that ends: nobody takes it up again.
        await ctx.checkpoint()
        if not _has_dispatched_calls(ctx) and not ctx.has_time_for(_max_duration(ctx)):
            return AdvanceResult("more")
        _check_time(ctx)
        if questions := await _run_step(ctx):
            ctx.timer.pause()
            return _needs_input(ctx, wait_seconds_for(_limits(ctx), questions))
    return AdvanceResult("finished")


def _has_dispatched_calls(ctx: RunContext) -> bool:
    """Whether the log says that calls begin which this worker alone knows were not made yet."""
    return any(call.id in ctx.dispatched_here for call in ctx.history.unfinished)


async def _run_step(ctx: RunContext) -> list[RequestInput]:
    """Ask for a reply, or make the calls of the last one; gives what a person has to be asked."""
    is_new = not ctx.history.unfinished
    log_context.add(step=len(ctx.history.steps) + is_new)
    if not is_new:
        with ctx.timer.time_tools():
            questions = await call_tools(ctx)
    else:
        ctx.budget.check()
        with ctx.timer.time_model():
            await call_model(ctx)
        questions = []
    if not ctx.history.unfinished:
        ctx.timer.finish()
    return questions


async def _recover_if_needed(ctx: RunContext) -> None:
    """Make the log say that this worker is at work on the run."""
    if ctx.history.status == "created":
        await _start(ctx)
    if ctx.history.is_mid_step and ctx.history.last_type != "run.recovered":
        # Also the fence: a worker that was thought dead loses its next append to this event.
        await ctx.append([ctx.journal.recovered_event("step_interrupted")])


async def _start(ctx: RunContext) -> None:
    try:
        await ctx.write(ctx.journal.start)
    except SupersededError:
        # The sweep was here before any worker; what it wrote has been read now.
        if ctx.history.status != "created":
            raise
        await ctx.write(ctx.journal.start)


async def _resume(ctx: RunContext) -> None:
    """Every question is answered: go on, knowing that what they were about was not done yet."""
    answered = [call for call in ctx.history.unfinished if call.phase == "answered"]
    settled = results_from_answers(ctx, answered)
    await ctx.write(partial(ctx.journal.resume, settled))
    ctx.dispatched_here |= {call.id for call in answered}


def _check_time(ctx: RunContext) -> None:
    """Before a reply, and before its calls begin: what has begun, or was approved, is not torn."""
    if all(call.phase == "requested" for call in ctx.history.unfinished):
        ctx.budget.check_time()


def _max_duration(ctx: RunContext) -> float:
    """Seconds that the next thing to do may take: a reply, or the slowest of the calls."""
    unfinished = ctx.history.unfinished
    return max_duration(ctx, unfinished) if unfinished else ctx.snapshot.route.timeout
