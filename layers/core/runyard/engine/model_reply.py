"""One reply of the model: streamed into the log as it arrives, then recorded whole.

Deltas are gathered for a moment before they are put, so a fast model costs a few dozen writes and
not one per token; the first one goes out at once. At most one put is under way.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace

from runyard.agent.circuits import tried_last
from runyard.agent.conversation import reply_draft, request_for
from runyard.agent.dialogue import ModelEvent, ReasoningDelta, Reply
from runyard.domain.errors import LimitExceededError, ModelUnavailableError
from runyard.domain.events import Draft
from runyard.engine.budget import Allowed, allow
from runyard.engine.daily_caps import caps_of, hold_for
from runyard.engine.retries import delay_before_next
from runyard.engine.worker import Step
from runyard.store.dynamo import Change
from runyard.store.spending import Hold


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
            stream = model.stream(replace(allowed.request, attempt=attempt))
            return await _stream_reply(step, stream, allowed, hold)
        except LimitExceededError:
            if step.history.partial_reply:
                await step.append([recovered(step, "limit_met")])
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
                await step.append([recovered(step, "model_interrupted")])
            await asyncio.sleep(delay)
            attempt += 1


def _given_up(error: ModelUnavailableError) -> ModelUnavailableError:
    """The same, with what the reader of a failed run wants to know: since when."""
    message = tried_last(str(error), time.time())
    return ModelUnavailableError(message, error.retry_after, kind=error.kind)


def recovered(step: Step, reason: str) -> Draft:
    """What says that the step is taken up again: what it had published of its reply is void."""
    return step.journal.recovered(reason)


async def _stream_reply(
    step: Step, stream: AsyncGenerator[ModelEvent, None], allowed: Allowed, hold: Hold | None
) -> None:
    iteration = len(step.history.exchanges) + 1
    writer = _DeltaWriter(step)
    try:
        async with aclosing(stream):
            while (event := await _next(step, stream)) is not None:
                if isinstance(event, Reply):
                    cut_by = allowed.cut_by if event.is_cut else ""
                    spending = step.worker.stores.spending
                    settled = spending.settle_changes(hold, event.cost_usd) if hold else ()
                    await writer.close(reply_draft(event, iteration, cut_by), settled)
                    return
                await writer.add(_delta_draft(event, iteration))
        raise ModelUnavailableError("the model's stream ended without a reply")
    finally:
        await writer.stop()


async def _next(step: Step, stream: AsyncGenerator[ModelEvent, None]) -> ModelEvent | None:
    """What the stream brings next, None at its end. Only this waiting is cut off, never a put."""
    left = step.budget.left("wall_clock_seconds")
    try:
        async with asyncio.timeout(None if left is None else float(left)):
            return await anext(stream, None)
    except TimeoutError as error:
        if left is None:
            raise
        raise step.budget.exceeded("wall_clock_seconds", "the run has worked for") from error


def _delta_draft(event: ModelEvent, iteration: int) -> Draft:
    assert not isinstance(event, Reply)
    if isinstance(event, ReasoningDelta):
        data = {"object": "agent.reasoning", "delta": event.delta, "iteration": iteration}
        return Draft(type="agent.reasoning.delta", data=data)
    data = {"object": "agent.response", "delta": event.delta, "iteration": iteration}
    return Draft(type="agent.response.delta", data=data)


class _DeltaWriter:
    """Puts deltas in batches, in the background of the stream that brings them."""

    def __init__(self, step: Step) -> None:
        self._step = step
        self._waiting: list[Draft] = []
        self._closing = asyncio.Event()
        self._flusher: asyncio.Task[None] | None = None

    async def add(self, draft: Draft) -> None:
        """Take a delta. Raises what the last put raised."""
        self._waiting.append(draft)
        if self._flusher is None or self._flusher.done():
            await self._settle()
            self._flusher = asyncio.create_task(self._flush())

    async def close(self, last: Draft, changes: Sequence[Change] = ()) -> None:
        """Put what still waits, and the whole reply behind it, together with changes of records."""
        await self.stop()
        await self._settle()
        drafts, self._waiting = [*self._waiting, last], []
        await self._step.append(drafts, changes)

    async def stop(self) -> None:
        """Wait for the put that is under way, and put nothing further."""
        self._closing.set()
        if self._flusher is not None:
            await asyncio.wait([self._flusher])

    async def _settle(self) -> None:
        if self._flusher is not None:
            flusher, self._flusher = self._flusher, None
            await flusher

    async def _flush(self) -> None:
        while self._waiting and not self._closing.is_set():
            drafts, self._waiting = self._waiting, []
            await self._step.append(drafts)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), self._step.worker.flush_seconds)
