"""Carry a run on: as many steps as fit the time, each journaled before and after.

A step is one reply of the model and the tool calls that it asks for. Everything is decided from the
log, so a worker that finds a step half done takes it up where it stands.
"""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import Literal

from runyard.agent.approval import Ask
from runyard.agent.conversation import answer_of
from runyard.domain.clock import now, parse
from runyard.domain.errors import FinalError, LimitExceededError, SupersededError
from runyard.domain.events import Draft
from runyard.domain.history import Call
from runyard.engine.journal import Journal
from runyard.engine.model_reply import add_reply, recovered
from runyard.engine.tool_calls import perform_calls
from runyard.engine.worker import Step, Worker

Outcome = Literal["more", "needs_input", "finished"]


@dataclass(frozen=True)
class Advance:
    """How far the run was carried; `wait_seconds` is how long a person has to answer at most."""

    outcome: Outcome
    wait_seconds: int = 0


async def advance_run(worker: Worker, run_id: str, seconds: float) -> Advance:
    """Carry the run on for at most about `seconds`.

    Raises RetryableError where another attempt may get further; whatever ends the run for good is
    written to its log and gives `finished`.
    """
    deadline = time.monotonic() + seconds
    journal = await asyncio.to_thread(Journal.open, worker.stores, run_id)
    step = Step(worker, journal, deadline)
    try:
        return await _advance_or_fail(step)
    except SupersededError:
        if step.history.has_ended:
            return Advance("finished")
        raise


async def _advance_or_fail(step: Step) -> Advance:
    try:
        return await _advance(step)
    except FinalError as error:
        code, message = error.code, str(error)
        await step.write(lambda: step.journal.fail(code, message))
        return Advance("finished")


async def _advance(step: Step) -> Advance:
    if step.history.has_ended:
        return Advance("finished")
    await _take_up(step)
    if step.history.status == "paused":
        await _expire(step)
        if step.history.asked:
            return Advance("needs_input", _wait_seconds(step, _times_left(step)))
        await _resume(step)
    while True:
        answer = answer_of(step.snapshot.definition, step.history)
        if answer is not None:
            await step.write(partial(step.journal.complete, answer))
            return Advance("finished")
        if not step.has_time_for(_longest(step)):
            return Advance("more")
        if not step.history.unfinished:
            _check_limits(step)
            await add_reply(step)
        elif questions := await perform_calls(step):
            return Advance("needs_input", _wait_seconds(step, _times_given(questions)))


async def _take_up(step: Step) -> None:
    """Make the log say that this worker is at work on the run."""
    if step.history.status == "created":
        await step.write(step.journal.start)
    if step.history.mid_step and step.history.last_type != "run.recovered":
        # Also the fence: a worker that was thought dead loses its next append to this event.
        await step.append([recovered(step, "step_interrupted")])


async def _resume(step: Step) -> None:
    """Every question is answered: go on, knowing that what they were about was not done yet."""
    answered = {call.id for call in step.history.unfinished if call.phase == "answered"}
    await step.write(step.journal.resume)
    step.begun |= answered


def _longest(step: Step) -> float:
    """Seconds that the next thing to do may take: a reply, or the slowest of the calls."""
    definition = step.snapshot.definition
    tools = [definition.tool(call.name) for call in step.history.unfinished]
    timeouts = [tool.timeout for tool in tools if tool and tool.kind != "ask_human"]
    return max(timeouts, default=0) if tools else step.snapshot.route.timeout


def _check_limits(step: Step) -> None:
    limits, usage = step.snapshot.definition.limits, step.history.usage
    if usage.steps >= limits.steps:
        raise LimitExceededError(f"the run has taken its {limits.steps} steps")
    if limits.tokens is not None and usage.input_tokens + usage.output_tokens >= limits.tokens:
        raise LimitExceededError(f"the run has used its {limits.tokens} tokens")
    if limits.usd is not None and usage.cost_usd is not None and usage.cost_usd >= limits.usd:
        raise LimitExceededError(f"the run has spent its {limits.usd} USD")


def _wait_seconds(step: Step, times: Iterable[float]) -> int:
    """Until the first question expires, or as long as the agent's definition lets a run wait."""
    return max(1, ceil(min([step.snapshot.definition.limits.wait_seconds, *times])))


def _times_given(questions: list[Ask]) -> Iterable[float]:
    """For questions that are about to be asked: a little longer, for they expire from then on."""
    return (
        ask.expires_in + 1
        for ask in questions
        if ask.expires_in is not None and ask.on_expiry != "keep_waiting"
    )


def _times_left(step: Step) -> Iterable[float]:
    """For questions that were asked before."""
    for call in step.history.asked:
        if _on_expiry(step, call) != "keep_waiting" and (expires_at := _expires_at(call)):
            yield (parse(expires_at) - now()).total_seconds()


async def _expire(step: Step) -> None:
    """Settle the questions whose time is over, as the agent's definition says."""
    for call in step.history.asked:
        expires_at, on_expiry = _expires_at(call), _on_expiry(step, call)
        if expires_at is None or on_expiry == "keep_waiting" or parse(expires_at) > now():
            continue
        assert call.question is not None
        request_id = call.question.data["id"]
        stores, run_id = step.worker.stores, step.journal.run.id
        request = stores.input_requests.get(run_id, request_id)
        assert request is not None, "a question and its record are written together"
        still_open = len(step.history.asked) - 1
        await step.append(
            [Draft(type="input_request.expired", data={"id": request_id, "on_expiry": on_expiry})],
            [
                stores.input_requests.settle_change(request, "expired"),
                stores.runs.answered_change(run_id, still_open),
            ],
        )


def _expires_at(call: Call) -> str | None:
    return call.question.data.get("expires_at") if call.question else None


def _on_expiry(step: Step, call: Call) -> str:
    """What the definition says; a doubt about an interrupted call never expires."""
    tool = step.snapshot.definition.tool(call.name)
    if tool is None:
        return "keep_waiting"
    if tool.kind == "ask_human":
        return tool.on_expiry
    return tool.approval.on_expiry if tool.approval else "keep_waiting"
