"""Compact the conversation of a run: record what later requests leave out, and its summary.

The event comes before the request that is built from it. A compaction that is lost before its event
is recorded is repeated: it has no other effect. It is not a step of the run, but its tokens and USD
count, and are reserved before the call.
"""

from collections.abc import Awaitable, Sequence
from contextlib import aclosing
from dataclasses import replace

from runyard_service.adapters.dynamodb.attributes import TransactWriteItem
from runyard_service.agents.compaction import (
    Conversation,
    Reason,
    needs_summary,
    plan_compaction,
    summary_tokens,
    token_limit,
)
from runyard_service.agents.definitions.models import ContextPolicy
from runyard_service.agents.definitions.routes import Route
from runyard_service.agents.message_events import usage_of_response
from runyard_service.agents.models.base import Model, ModelRequest, Response
from runyard_service.agents.models.context_windows import context_window
from runyard_service.agents.models.token_bounds import (
    REQUEST_FRAME_TOKENS,
    likely_bytes,
    likely_input_tokens,
)
from runyard_service.agents.step_messages import cut_text
from runyard_service.agents.summary_request import old_entries, shortened, summary_request
from runyard_service.application.steps.budget import fit_to_budget, reported_usage
from runyard_service.application.steps.daily_caps import applicable_caps, reserve
from runyard_service.application.steps.genai_spans import chat_span
from runyard_service.application.steps.next_request import next_request
from runyard_service.application.steps.response_stream import (
    ENDED_EARLY,
    active_deadline,
    next_event,
)
from runyard_service.application.steps.retries import (
    FailedCall,
    leave_to_state_machine,
    next_delay,
    wait_for_retry,
)
from runyard_service.application.steps.route_failures import replace_route
from runyard_service.application.steps.run_context import RunContext
from runyard_service.domain.errors import ContextTooLongError, ModelUnavailableError
from runyard_service.domain.event_payloads.messages import ContextCompacted
from runyard_service.domain.events import NewEvent

# A request for a summary that is too long is repeated with half of the text, up to this number of
# times. An eighth of the text fits every tokenizer.
_HALVINGS = 3
_Summary = tuple[str, Response, Sequence[TransactWriteItem]]


async def compact_if_due(ctx: RunContext) -> bool:
    """Compact the conversation if the next request likely exceeds its share of the window.

    Return whether it was compacted. Without a known window, it is compacted only if the provider
    rejects a request. Raise the errors of `call_model`.
    """
    policy, window = ctx.snapshot.definition.context, context_window(ctx.snapshot.route)
    if policy is None or window is None or _reason_so_far(ctx):
        return False
    size = await _likely_size(ctx)
    if size <= token_limit(policy, ctx.snapshot.definition.max_output_tokens, window):
        return False
    return await _compact(ctx, policy, "size", size)


async def compact_if_rejected(ctx: RunContext, call: Awaitable[None]) -> None:
    """Await the call of the model. If its request is too long, compact the conversation once.

    The caller then calls again. Raise ContextTooLongError if nothing can be left out, or if the
    conversation was compacted for this reason already.
    """
    try:
        await call
    except ContextTooLongError:
        policy = ctx.snapshot.definition.context
        if policy is None or _reason_so_far(ctx) == "rejected":
            raise
        if ctx.history.has_partial_message:
            await ctx.journal.recover("model_interrupted")
        if not await _compact(ctx, policy, "rejected", await _likely_size(ctx)):
            raise


def _reason_so_far(ctx: RunContext) -> Reason | None:
    """Return why the conversation was compacted for the next response; None if it was not."""
    newest = ctx.history.compaction
    is_for_next = newest is not None and newest["iteration"] > len(ctx.history.steps)
    return newest["reason"] if newest and is_for_next else None


async def _likely_size(ctx: RunContext) -> int:
    """Return the likely number of input tokens of the next request."""
    request = await next_request(ctx)
    # After a compaction, what the provider counted before it says nothing.
    last_usage = None if _reason_so_far(ctx) else reported_usage(ctx.history)
    return likely_input_tokens(replace(request, last_usage=last_usage))


async def _compact(ctx: RunContext, policy: ContextPolicy, reason: Reason, size: int) -> bool:
    window = context_window(ctx.snapshot.route)
    conversation = Conversation(
        ctx.definition,
        ctx.journal.run,
        ctx.history,
        await ctx.messages(),
        await ctx.attachments(),
    )
    plan = plan_compaction(conversation, policy, size=size, window=window, reason=reason)
    if plan is None:
        return False
    changes: Sequence[TransactWriteItem] = ()
    if needs_summary(conversation, plan):
        entries = old_entries(conversation, plan)
        summary, response, changes = await _summarize(ctx, policy, entries, size)
        plan = _with_response(plan, summary, response)
    await ctx.journal.append([NewEvent(type="agent.context.compacted", data=plan)], changes)
    return True


def _with_response(plan: ContextCompacted, summary: str, response: Response) -> ContextCompacted:
    usage = usage_of_response(response)
    return {**plan, "summary": summary, "usage": usage, "model": response.model}


async def _summarize(
    ctx: RunContext, policy: ContextPolicy, entries: Sequence[str], size: int
) -> _Summary:
    """Return the summary of these texts, the response, and the changes that record its cost.

    A response without a text, as of a model that only reasons, is replaced by the shortened texts.
    """
    window = context_window(ctx.snapshot.summary_route or ctx.snapshot.route)
    window = window or context_window(ctx.snapshot.route)
    length = summary_tokens(size, window)
    # Twice the length: the response can have reasoning too.
    request_tokens = size // 2
    if window is not None:
        request_tokens = min(size, token_limit(policy, 2 * length, window) - 2 * length)
    limit = max(likely_bytes(request_tokens - REQUEST_FRAME_TOKENS), likely_bytes(length))
    for halving in range(_HALVINGS + 1):
        text = shortened(entries, limit >> halving)
        try:
            request = summary_request(text, 2 * length, ctx.snapshot.definition.guardrail)
            response, changes = await _request_summary(ctx, request)
        except ContextTooLongError:
            if halving == _HALVINGS:
                raise
            continue
        summary = response.message.content.strip() or text
        return cut_text(summary, likely_bytes(length)), response, changes
    raise AssertionError("the last attempt returns or raises")


async def _request_summary(
    ctx: RunContext, request: ModelRequest
) -> tuple[Response, Sequence[TransactWriteItem]]:
    model, route = _summary_model(ctx)
    caps = await applicable_caps(ctx)
    budgeted = fit_to_budget(ctx.budget, model, request, is_capped=bool(caps))
    hold = await reserve(ctx, caps, budgeted.worst_usd)
    attempt = 1
    while True:
        try:
            with chat_span(ctx, budgeted.request, route) as span:
                request = replace(
                    budgeted.request, attempt=attempt, project_id=ctx.journal.run.project_id
                )
                response = await _response(ctx, model, request)
                span.record_response(response)
        except ModelUnavailableError as error:
            delay = next_delay(ctx, attempt, route.timeout, error.retry_after)
            failed = FailedCall("model", route.model_name, error.kind)
            if delay is None or not error.was_attempted:
                if ctx.snapshot.summary_route is not None:
                    await leave_to_state_machine(ctx, failed)
                    raise
                # As for a response: the agent's next route writes the summary.
                await replace_route(ctx, error)
                return await _request_summary(ctx, request)
            await wait_for_retry(ctx, failed, delay)
            attempt += 1
        else:
            spending = ctx.deps.stores.spending
            return response, spending.settle_changes(hold, response.cost_usd) if hold else ()


def _summary_model(ctx: RunContext) -> tuple[Model, Route]:
    """Return the model of summaries and its route. It reasons as little as the provider allows."""
    snapshot = ctx.snapshot
    route = snapshot.summary_route or snapshot.route
    if route.reasoning not in (None, "off"):
        route = route.model_copy(update={"reasoning": None})
    if route is snapshot.route:
        return ctx.model, route
    return ctx.deps.model_for(snapshot.model_copy(update={"route": route})), route


async def _response(ctx: RunContext, model: Model, request: ModelRequest) -> Response:
    """Return the response. Raise LimitExceededError if the active time of the run is over."""
    deadline = active_deadline(ctx)
    async with aclosing(model.stream(request)) as stream:
        while (event := await next_event(ctx, stream, deadline)) is not None:
            if isinstance(event, Response):
                return event
    raise ModelUnavailableError(ENDED_EARLY)
