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
from runyard_service.application.input_requests.expiry import expire, wait_for
from runyard_service.application.input_requests.limit_increase import raise_if_denied
from runyard_service.application.runs.journal import Journal
from runyard_service.application.steps.call_model import add_reply
from runyard_service.application.steps.call_tools import longest, perform_calls, settled_by_answers
from runyard_service.application.steps.daily_caps import release
from runyard_service.application.steps.genai_spans import agent_span
from runyard_service.application.steps.next_action import Ask
from runyard_service.application.steps.run_context import Step, Worker
from runyard_service.domain.errors import FinalError, LimitExceededError, SupersededError
from runyard_service.domain.input_requests import seconds_left
from runyard_service.domain.runs import Execution
from runyard_service.observability import log_context

Outcome = Literal["more", "needs_input", "finished"]


@dataclass(frozen=True)
class Advance:
    """How far the run was carried; `wait_seconds` is how long a person has to answer at most.

    `limit` names the limit that a person is to be asked about, if that is what is needed, and
    `limit_at` is the event behind which a person turned out to be needed. `finished`: there is
    nothing more to do here, for the run has ended, or is carried by another execution.
    """

    outcome: Outcome
    wait_seconds: float = 0
    limit: str = ""
    limit_at: int = 0


async def advance_run(worker: Worker, execution: Execution, seconds: float) -> Advance:
    """Carry the run of this execution on for at most about `seconds`.

    Raises RetryableError where another attempt may get further; whatever ends the run for good is
    written to its log and gives `finished`.
    """
    deadline = time.monotonic() + seconds
    journal = await asyncio.to_thread(Journal.open, worker.stores, execution.run_id)
    if journal.history.has_ended or journal.run.carried_by > execution:
        return Advance("finished")
    step = Step(worker, journal, deadline)
    try:
        async with agent_span(step):
            advance = await _advance_or_fail(step)
        # Only here, where nothing is under way any more.
        journal.close()
        return advance
    except SupersededError:
        if step.history.has_ended:
            return Advance("finished")
        raise


async def _advance_or_fail(step: Step) -> Advance:
    try:
        return await _advance(step)
    except FinalError as error:
        if isinstance(error, LimitExceededError) and _may_be_raised(step, error):
            await release(step)
            return _needs_input(step, wait_for(_limits(step), []), error.limit)
        code, message = error.code, str(error)
        await step.write(lambda: step.journal.fail(code, message))
        await release(step)
        return Advance("finished")


def _may_be_raised(step: Step, error: LimitExceededError) -> bool:
    return bool(error.limit) and _limits(step).on_limit == "ask"


def _limits(step: Step) -> Limits:
    return step.snapshot.definition.limits


def _needs_input(step: Step, wait_seconds: float, limit: str = "") -> Advance:
    return Advance("needs_input", wait_seconds, limit, step.history.last)


async def _advance(step: Step) -> Advance:
    await _take_up(step)
    if step.history.status == "paused":
        waiting = await expire(step)
        if step.history.open_questions:
            return _needs_input(step, seconds_left(waiting))
        await _resume(step)
    raise_if_denied(step.history)
    while not step.history.has_ended:
        answer = answer_of(step.snapshot.definition, step.history)
        if answer is not None:
            step.clock.done()
            await step.write(partial(step.journal.complete, answer))
            break
        # Not of a run that ends: nobody takes it up again.
        await step.checkpoint()
        if not _is_begun(step) and not step.has_time_for(_longest(step)):
            return Advance("more")
        _check_time(step)
        if questions := await _go_on(step):
            step.clock.stopped()
            return _needs_input(step, wait_for(_limits(step), questions))
    return Advance("finished")


def _is_begun(step: Step) -> bool:
    """Whether the log says that calls begin which this worker alone knows were not made yet."""
    return any(call.id in step.begun for call in step.history.unfinished)


async def _go_on(step: Step) -> list[Ask]:
    """Ask for a reply, or make the calls of the last one; gives what a person has to be asked."""
    is_new = not step.history.unfinished
    log_context.add(step=len(step.history.exchanges) + is_new)
    if not is_new:
        with step.clock.calls():
            questions = await perform_calls(step)
    else:
        step.budget.check()
        with step.clock.reply():
            await add_reply(step)
        questions = []
    if not step.history.unfinished:
        step.clock.done()
    return questions


async def _take_up(step: Step) -> None:
    """Make the log say that this worker is at work on the run."""
    if step.history.status == "created":
        await _start(step)
    if step.history.mid_step and step.history.last_type != "run.recovered":
        # Also the fence: a worker that was thought dead loses its next append to this event.
        await step.append([step.journal.recovered("step_interrupted")])


async def _start(step: Step) -> None:
    try:
        await step.write(step.journal.start)
    except SupersededError:
        # The sweep was here before any worker; what it wrote has been read now.
        if step.history.status != "created":
            raise
        await step.write(step.journal.start)


async def _resume(step: Step) -> None:
    """Every question is answered: go on, knowing that what they were about was not done yet."""
    answered = [call for call in step.history.unfinished if call.phase == "answered"]
    settled = settled_by_answers(step, answered)
    await step.write(partial(step.journal.resume, settled))
    step.begun |= {call.id for call in answered}


def _check_time(step: Step) -> None:
    """Before a reply, and before its calls begin: what has begun, or was approved, is not torn."""
    if all(call.phase == "requested" for call in step.history.unfinished):
        step.budget.check_time()


def _longest(step: Step) -> float:
    """Seconds that the next thing to do may take: a reply, or the slowest of the calls."""
    unfinished = step.history.unfinished
    return longest(step, unfinished) if unfinished else step.snapshot.route.timeout
