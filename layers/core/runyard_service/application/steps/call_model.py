"""One reply of the model: streamed into the log as it arrives, then recorded whole."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import cast

from runyard_service.adapters.dynamodb.attributes import TransactWriteItem
from runyard_service.adapters.dynamodb.event_log import MAX_BATCH_EVENTS
from runyard_service.adapters.dynamodb.spending_ledger import Hold
from runyard_service.agents.conversation import message_event, request_for, text_output
from runyard_service.agents.models.base import ModelEvent, ReasoningDelta, Response
from runyard_service.application.steps.budget import BudgetedRequest, fit_to_budget
from runyard_service.application.steps.call_tools import start_events_for
from runyard_service.application.steps.daily_caps import applicable_caps, reserve
from runyard_service.application.steps.delta_writer import DeltaWriter
from runyard_service.application.steps.genai_spans import chat_span
from runyard_service.application.steps.retries import next_delay
from runyard_service.application.steps.run_context import RunContext
from runyard_service.domain.errors import LimitExceededError, ModelUnavailableError
from runyard_service.domain.event_payloads import MessageCompleted
from runyard_service.domain.events import NewEvent
from runyard_service.outbound.circuit_breaker import describe_failure

# The most that ends a run in one put with its reply. A transaction costs twice, but compressed the
# reply and the output that repeats it take little more than either; zlib looks 32 KB back.
_SHORT_CHARACTERS = 16 * 1024


async def call_model(ctx: RunContext) -> None:
    """Ask the model for its next reply.

    A provider that is busy is asked again, as long as there is time. Raises ModelUnavailableError
    where it stays busy, ModelRefusedError where asking again cannot help, LimitExceededError where
    the reply may not fit the run's limits, or did not come within them.
    """
    model = ctx.model
    request = request_for(
        ctx.snapshot.definition,
        ctx.journal.run,
        ctx.history,
        known=ctx.message_cache,
        messages=await ctx.messages(),
        attachments=await ctx.attachments(),
    )
    caps = await applicable_caps(ctx)
    allowed = fit_to_budget(ctx.budget, model, request, is_capped=bool(caps))
    hold = await reserve(ctx, caps, allowed.worst_usd)
    attempt = 1
    while True:
        try:
            with chat_span(ctx, allowed.request) as span:
                stream = model.stream(replace(allowed.request, attempt=attempt))
                return span.record_response(await _stream_response(ctx, stream, allowed, hold))
        except LimitExceededError:
            if ctx.history.has_partial_message:
                await ctx.journal.recover("limit_met")
            raise
        except ModelUnavailableError as error:
            if not error.was_attempted:
                raise
            timeout = ctx.snapshot.route.timeout
            delay = next_delay(ctx, attempt, timeout, error.retry_after)
            if delay is None:
                # The reader of a failed run also sees when the worker tried last.
                message = describe_failure(str(error), time.time())
                raise ModelUnavailableError(message, error.retry_after, kind=error.kind) from error
            if ctx.history.has_partial_message:
                # What was shown of this reply is void: watchers must hear of it.
                await ctx.journal.recover("model_interrupted")
            await asyncio.sleep(delay)
            attempt += 1


async def _stream_response(
    ctx: RunContext,
    stream: AsyncGenerator[ModelEvent, None],
    allowed: BudgetedRequest,
    hold: Hold | None,
) -> Response:
    iteration = len(ctx.history.steps) + 1
    writer, latest = DeltaWriter(ctx.journal, ctx.deps.flush_seconds), _deadline(ctx)
    try:
        async with aclosing(stream):
            while (event := await _next(ctx, stream, latest)) is not None:
                if isinstance(event, Response):
                    truncated_by = allowed.truncated_by if event.is_cut else ""
                    spending = ctx.deps.stores.spending
                    settled = spending.settle_changes(hold, event.cost_usd) if hold else ()
                    drafts = [*await writer.close(), message_event(event, iteration, truncated_by)]
                    await _record(ctx, drafts, settled)
                    return event
                writer.add(_delta_event(event, iteration))
        raise ModelUnavailableError("the model's stream ended without a reply")
    finally:
        await writer.stop()


async def _record(
    ctx: RunContext, drafts: Sequence[NewEvent], changes: Sequence[TransactWriteItem]
) -> None:
    """The reply (the last of the drafts), and in the same put what it leads to.

    That its calls begin, or that the run ends with it: one write fewer, and no moment between.
    """
    reply = cast(MessageCompleted, drafts[-1].data)
    output = None if ctx.snapshot.definition.output_schema else text_output(reply)
    if output is not None and _are_short(drafts):
        await ctx.journal.complete(output, drafts, changes)
    else:
        await ctx.journal.append([*drafts, *start_events_for(ctx, reply)], changes)


def _are_short(drafts: Sequence[NewEvent]) -> bool:
    if len(drafts) >= MAX_BATCH_EVENTS:
        return False  # With the end they would take two items.
    return sum(len(str(draft.data)) for draft in drafts) <= _SHORT_CHARACTERS


def _deadline(ctx: RunContext) -> float | None:
    """When the run's working time is over, on the event loop's clock; None where it has no limit.

    Until then the run is at work without a break, so this holds for the whole reply.
    """
    left = ctx.budget.left("wall_clock_seconds")
    return None if left is None else asyncio.get_running_loop().time() + float(left)


async def _next(
    ctx: RunContext, stream: AsyncGenerator[ModelEvent, None], latest: float | None
) -> ModelEvent | None:
    """What the stream brings next, None at its end. Only this waiting is cut off, never a put."""
    if latest is None:
        return await anext(stream, None)
    limit = asyncio.timeout_at(latest)
    try:
        async with limit:
            return await anext(stream, None)
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise ctx.budget.limit_error("wall_clock_seconds", "the run has worked for") from error


def _delta_event(event: ModelEvent, iteration: int) -> NewEvent:
    assert not isinstance(event, Response)
    if isinstance(event, ReasoningDelta):
        data = {"object": "agent.reasoning", "delta": event.delta, "iteration": iteration}
        return NewEvent(type="agent.reasoning.delta", data=data)
    data = {"object": "agent.response", "delta": event.delta, "iteration": iteration}
    return NewEvent(type="agent.response.delta", data=data)
