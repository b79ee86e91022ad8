"""One response of the model: stream it into the log as deltas, then record the message."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import cast

from runyard_service.adapters.dynamodb.attributes import TransactWriteItem
from runyard_service.adapters.dynamodb.event_log import MAX_BATCH_EVENTS
from runyard_service.adapters.dynamodb.spending_ledger import Hold
from runyard_service.agents.code.model_requests import completed_op, own_request
from runyard_service.agents.code.protocol import Operation
from runyard_service.agents.conversation import text_output
from runyard_service.agents.message_events import message_event
from runyard_service.agents.models.base import ModelEvent, ReasoningDelta, Response
from runyard_service.application.steps.budget import BudgetedRequest, fit_to_budget
from runyard_service.application.steps.daily_caps import applicable_caps, reserve
from runyard_service.application.steps.delta_writer import DeltaWriter
from runyard_service.application.steps.genai_spans import chat_span
from runyard_service.application.steps.next_request import next_request
from runyard_service.application.steps.response_stream import (
    ENDED_EARLY,
    active_deadline,
    next_event,
)
from runyard_service.application.steps.retries import FailedCall, next_delay, wait_for_retry
from runyard_service.application.steps.route_failures import costs_of, replace_route
from runyard_service.application.steps.run_context import RunContext
from runyard_service.application.steps.tool_calls.call_tools import start_events_for
from runyard_service.domain.errors import LimitExceededError, ModelUnavailableError
from runyard_service.domain.event_payloads.messages import MessageCompleted
from runyard_service.domain.events import NewEvent

# The maximum size of a message whose write also ends the run. A transaction costs twice. But the
# compressed message and the output that repeats it take little more than one of them, because
# zlib looks back 32 KB.
_SHORT_CHARACTERS = 16 * 1024


async def call_model(ctx: RunContext, operation: Operation | None = None) -> None:
    """Request the next response of the model, or of an operation of own code, and record it.

    Retry while the provider is busy and there is time. Then ask the agent's next route, for the
    rest of the run. If there is no time for that, return without a response: the next worker asks.

    Raise ModelUnavailableError if no route answers, ModelRejectedError if a retry cannot help.
    Raise LimitExceededError if the response may not fit the limits of the run, or did not complete
    within them.
    """
    while not await _call_route(ctx, operation):
        if not ctx.has_time_for(ctx.snapshot.route.timeout):
            return


async def _call_route(ctx: RunContext, operation: Operation | None) -> bool:
    """Request the response of the route in use; return False if another route replaces it."""
    model = ctx.model
    budgeted, hold = await _reserve(ctx, operation)
    attempt = 1
    while True:
        try:
            with chat_span(ctx, budgeted.request) as span:
                stream = model.stream(
                    replace(
                        budgeted.request, attempt=attempt, project_id=ctx.journal.run.project_id
                    )
                )
                span.record_response(await _stream_response(ctx, stream, budgeted, hold, operation))
                return True
        except LimitExceededError:
            if ctx.history.has_partial_message:
                await ctx.journal.recover("limit_met")
            raise
        except ModelUnavailableError as error:
            delay = _delay_after(ctx, attempt, error)
            if delay is None:
                await replace_route(ctx, error)
                return False
            # The deltas of this response are void: watchers must discard them.
            is_partial = ctx.history.has_partial_message
            void = [ctx.journal.recovered_event("model_interrupted")] if is_partial else []
            failed = FailedCall("model", ctx.snapshot.route.model_name, error.kind)
            await wait_for_retry(ctx, failed, delay, void)
            attempt += 1


async def _reserve(
    ctx: RunContext, operation: Operation | None
) -> tuple[BudgetedRequest, Hold | None]:
    """Return the next request, as long as the limits allow, and its hold on the daily caps."""
    if operation is None:
        request = await next_request(ctx)
    else:
        route = ctx.snapshot.route_id
        request = own_request(operation, ctx.definition, ctx.history.steps, route)
    request = replace(request, is_fallback=bool(ctx.history.route))
    caps = await applicable_caps(ctx)
    has_usd = bool(caps) or ctx.budget.limit("usd") is not None
    costs = costs_of(ctx) if has_usd else ctx.model
    budgeted = fit_to_budget(ctx.budget, costs, request, is_capped=bool(caps))
    return budgeted, await reserve(ctx, caps, budgeted.worst_usd)


def _delay_after(ctx: RunContext, attempt: int, error: ModelUnavailableError) -> float | None:
    """Return the seconds to wait before this route is asked again; None: not in this worker."""
    if not error.was_attempted:
        return None
    return next_delay(ctx, attempt, ctx.snapshot.route.timeout, error.retry_after)


async def _stream_response(
    ctx: RunContext,
    stream: AsyncGenerator[ModelEvent, None],
    budgeted: BudgetedRequest,
    hold: Hold | None,
    operation: Operation | None,
) -> Response:
    iteration = len(ctx.history.steps) + 1
    writer, deadline = DeltaWriter(ctx.journal, ctx.deps.flush_seconds), active_deadline(ctx)
    try:
        async with aclosing(stream):
            while (event := await next_event(ctx, stream, deadline)) is not None:
                if isinstance(event, Response):
                    truncated_by = budgeted.truncated_by if event.is_truncated else ""
                    spending = ctx.deps.stores.spending
                    changes = spending.settle_changes(hold, event.cost_usd) if hold else ()
                    message = message_event(
                        event,
                        iteration,
                        truncated_by,
                        definition=ctx.definition,
                        route=ctx.snapshot.route_id,
                        is_fallback=bool(ctx.history.route),
                    )
                    if operation is None:
                        await _record(ctx, [*await writer.close(), message], changes)
                    else:
                        data = cast(MessageCompleted, message.data)
                        data["op"] = completed_op(operation, data)
                        await ctx.journal.append([*await writer.close(), message], changes)
                    return event
                writer.add(_delta_event(event, iteration))
        raise ModelUnavailableError(ENDED_EARLY)
    finally:
        await writer.stop()


async def _record(
    ctx: RunContext, new_events: Sequence[NewEvent], changes: Sequence[TransactWriteItem]
) -> None:
    """Record the message (the last of the new events) in one write with the events that follow it.

    These are the start of its calls, or the end of the run. This saves a write, and no worker can
    crash between the two.
    """
    message = cast(MessageCompleted, new_events[-1].data)
    has_schema = ctx.snapshot.definition.output_schema is not None
    output = None if has_schema else text_output(message, ctx.history.steps)
    if ctx.budget.uncounted_limit(message):
        output = None  # The run fails after this message.
    if output is not None and _are_short(new_events):
        await ctx.journal.complete(output, new_events, changes)
    else:
        await ctx.journal.append([*new_events, *start_events_for(ctx, message)], changes)


def _are_short(new_events: Sequence[NewEvent]) -> bool:
    if len(new_events) >= MAX_BATCH_EVENTS:
        return False  # With the terminal event, the events would need two items.
    return sum(len(str(new_event.data)) for new_event in new_events) <= _SHORT_CHARACTERS


def _delta_event(event: ModelEvent, iteration: int) -> NewEvent:
    assert not isinstance(event, Response)
    if isinstance(event, ReasoningDelta):
        data = {"object": "agent.reasoning", "delta": event.delta, "iteration": iteration}
        return NewEvent(type="agent.reasoning.delta", data=data)
    data = {"object": "agent.response", "delta": event.delta, "iteration": iteration}
    return NewEvent(type="agent.response.delta", data=data)
