"""The time that a person has to answer, and what becomes of a question when it is over."""

from math import ceil

from runyard.agent.approval import Ask
from runyard.agent.definition import AgentDefinition
from runyard.domain.clock import now, parse
from runyard.domain.errors import LimitExceededError
from runyard.domain.events import Draft
from runyard.domain.exchanges import Question
from runyard.domain.history import History
from runyard.engine.worker import Step


def wait_for(step: Step, questions: list[Ask]) -> int:
    """Seconds to wait for questions that are about to be asked: they expire from then on."""
    times = (
        ask.expires_in
        for ask in questions
        if ask.expires_in is not None and ask.on_expiry != "keep_waiting"
    )
    return _rounded_up(min([step.snapshot.definition.limits.wait_seconds, *times]))


def wait_on(step: Step) -> int:
    """Seconds to wait for the questions that are open."""
    return _rounded_up(time_left(step.snapshot.definition, step.history))


def time_left(definition: AgentDefinition, history: History) -> float:
    """Seconds until the first open question expires, or the run may wait no longer.

    Negative where that has come to pass.
    """
    times = [definition.limits.wait_seconds - history.waited(now()).total_seconds()]
    for question in history.open_questions:
        expires_at = _expires_at(question)
        if expires_at and _on_expiry(definition, question) != "keep_waiting":
            times.append((parse(expires_at) - now()).total_seconds())
    return min(times)


def check_wait(step: Step) -> None:
    """Raises LimitExceededError where a person has kept the run waiting for longer than it may."""
    limit = step.snapshot.definition.limits.wait_seconds
    if step.history.waited(now()).total_seconds() >= limit:
        raise LimitExceededError(f"nobody answered within the run's {limit} seconds")


async def expire(step: Step) -> None:
    """Settle the questions whose time is over, as the agent's definition says."""
    for question in step.history.open_questions:
        expires_at = _expires_at(question)
        on_expiry = _on_expiry(step.snapshot.definition, question)
        if expires_at is None or on_expiry == "keep_waiting" or parse(expires_at) > now():
            continue
        stores, run_id = step.worker.stores, step.journal.run.id
        request = stores.input_requests.get(run_id, question.id)
        assert request is not None, "a question and its record are written together"
        still_open = len(step.history.open_questions) - 1
        data = {"id": question.id, "on_expiry": on_expiry}
        await step.append(
            [Draft(type="input_request.expired", data=data)],
            [
                stores.input_requests.settle_change(request, "expired"),
                stores.runs.answered_change(run_id, still_open),
            ],
        )


def _rounded_up(seconds: float) -> int:
    # A little longer than the question itself, so that its time is over when the machine wakes up.
    return max(1, ceil(seconds) + 1)


def _expires_at(question: Question) -> str | None:
    return question.asked.data.get("expires_at")


def _on_expiry(definition: AgentDefinition, question: Question) -> str:
    """What the definition says; a doubt about an interrupted call, or a limit, never expires."""
    tool = definition.tool(question.call.name) if question.call else None
    if tool is None:
        return "keep_waiting"
    if tool.kind == "ask_human":
        return tool.on_expiry
    return tool.approval.on_expiry if tool.approval else "keep_waiting"
