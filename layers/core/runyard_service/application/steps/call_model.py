"""One reply of the model: streamed into the log as it arrives, then recorded whole."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial

from runyard_service.adapters.dynamodb.attributes import Change
from runyard_service.adapters.dynamodb.event_log import MAX_BATCH_EVENTS
from runyard_service.adapters.dynamodb.spending_ledger import Hold
from runyard_service.agents.conversation import plain_answer, reply_draft, request_for
from runyard_service.agents.models.base import ModelEvent, ReasoningDelta, Reply
from runyard_service.application.steps.budget import Allowed, allow
from runyard_service.application.steps.call_tools import begun_with
from runyard_service.application.steps.daily_caps import caps_of, hold_for
from runyard_service.application.steps.delta_writer import DeltaWriter
from runyard_service.application.steps.genai_spans import chat_span
from runyard_service.application.steps.retries import delay_before_next
from runyard_service.application.steps.run_context import Step
from runyard_service.domain.errors import LimitExceededError, ModelUnavailableError
from runyard_service.domain.events import Draft
from runyard_service.outbound.circuit_breaker import tried_last

# The most that ends a run in one put with its reply. A transaction costs twice, but compressed the
# reply and the output that repeats it take little more than either; zlib looks 32 KB back.
_SHORT_CHARACTERS = 16 * 1024


async def add_reply(step: Step) -> None:
    """Ask the model for its next reply.

    A provider that is busy is asked again, as long as there is time. Raises ModelUnavailableError
    where it stays busy, ModelRefusedError where asking again cannot help, LimitExceededError where
    the reply may not fit the run's limits, or did not come within them.
    """
    model = step.model
    request = request_for(
        step.snapshot.definition,
        step.journal.run,
        step.history,
        known=step.turns,
        messages=await step.messages(),
        attachments=await step.attachments(),
    )
    caps = await caps_of(step)
    allowed = allow(step.budget, model, request, is_capped=bool(caps))
    hold = await hold_for(step, caps, allowed.worst_usd)
    attempt = 1
    while True:
        try:
            with chat_span(step, allowed.request) as span:
                stream = model.stream(replace(allowed.request, attempt=attempt))
                return span.replied(await _stream_reply(step, stream, allowed, hold))
        except LimitExceededError:
            if step.history.partial_reply:
                await step.append([step.journal.recovered("limit_met")])
            raise
        except ModelUnavailableError as error:
            if not error.was_tried:
                raise
            timeout = step.snapshot.route.timeout
            delay = delay_before_next(step, attempt, timeout, error.retry_after)
            if delay is None:
                raise _given_up(error) from error
            if step.history.partial_reply:
                # What was shown of this reply is void: watchers must hear of it.
                await step.append([step.journal.recovered("model_interrupted")])
            await asyncio.sleep(delay)
            attempt += 1


def _given_up(error: ModelUnavailableError) -> ModelUnavailableError:
    """The same, with what the reader of a failed run wants to know: since when."""
    message = tried_last(str(error), time.time())
    return ModelUnavailableError(message, error.retry_after, kind=error.kind)


async def _stream_reply(
    step: Step, stream: AsyncGenerator[ModelEvent, None], allowed: Allowed, hold: Hold | None
) -> Reply:
    iteration = len(step.history.exchanges) + 1
    writer, latest = DeltaWriter(step), _latest(step)
    try:
        async with aclosing(stream):
            while (event := await _next(step, stream, latest)) is not None:
                if isinstance(event, Reply):
                    cut_by = allowed.cut_by if event.is_cut else ""
                    spending = step.worker.stores.spending
                    settled = spending.settle_changes(hold, event.cost_usd) if hold else ()
                    drafts = [*await writer.close(), reply_draft(event, iteration, cut_by)]
                    await _record(step, drafts, settled)
                    return event
                writer.add(_delta_draft(event, iteration))
        raise ModelUnavailableError("the model's stream ended without a reply")
    finally:
        await writer.stop()


async def _record(step: Step, drafts: Sequence[Draft], changes: Sequence[Change]) -> None:
    """The reply (the last of the drafts), and in the same put what it leads to.

    That its calls begin, or that the run ends with it: one write fewer, and no moment between.
    """
    reply = drafts[-1].data
    output = None if step.snapshot.definition.output_schema else plain_answer(reply)
    if output is not None and _are_short(drafts):
        await step.write(partial(step.journal.complete, output, drafts, changes))
    else:
        await step.append([*drafts, *begun_with(step, reply)], changes)


def _are_short(drafts: Sequence[Draft]) -> bool:
    if len(drafts) >= MAX_BATCH_EVENTS:
        return False  # With the end they would take two items.
    return sum(len(str(draft.data)) for draft in drafts) <= _SHORT_CHARACTERS


def _latest(step: Step) -> float | None:
    """When the run's working time is over, on the event loop's clock; None where it has no limit.

    Until then the run is at work without a break, so this holds for the whole reply.
    """
    left = step.budget.left("wall_clock_seconds")
    return None if left is None else asyncio.get_running_loop().time() + float(left)


async def _next(
    step: Step, stream: AsyncGenerator[ModelEvent, None], latest: float | None
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
        raise step.budget.exceeded("wall_clock_seconds", "the run has worked for") from error


def _delta_draft(event: ModelEvent, iteration: int) -> Draft:
    assert not isinstance(event, Reply)
    if isinstance(event, ReasoningDelta):
        data = {"object": "agent.reasoning", "delta": event.delta, "iteration": iteration}
        return Draft(type="agent.reasoning.delta", data=data)
    data = {"object": "agent.response", "delta": event.delta, "iteration": iteration}
    return Draft(type="agent.response.delta", data=data)
