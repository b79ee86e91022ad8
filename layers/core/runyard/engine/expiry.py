"""The time that a person has to answer, and what becomes of a question when it is over."""

from collections.abc import Iterable
from math import ceil

from runyard.agent.approval import Ask
from runyard.domain.clock import now, parse
from runyard.domain.events import Draft
from runyard.domain.history import Question
from runyard.engine.worker import Step


def wait_for(step: Step, questions: list[Ask]) -> int:
    """Seconds to wait for questions that are about to be asked: they expire from then on."""
    return _wait_seconds(
        step,
        (
            # A little longer than the question itself.
            ask.expires_in + 1
            for ask in questions
            if ask.expires_in is not None and ask.on_expiry != "keep_waiting"
        ),
    )


def wait_on(step: Step) -> int:
    """Seconds to wait for the questions that are open."""
    return _wait_seconds(step, _times_left(step))


async def expire(step: Step) -> None:
    """Settle the questions whose time is over, as the agent's definition says."""
    for question in step.history.open_questions:
        expires_at, on_expiry = _expires_at(question), _on_expiry(step, question)
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


def _wait_seconds(step: Step, times: Iterable[float]) -> int:
    """Until the first question expires, or as long as the agent's definition lets a run wait."""
    return max(1, ceil(min([step.snapshot.definition.limits.wait_seconds, *times])))


def _times_left(step: Step) -> Iterable[float]:
    for question in step.history.open_questions:
        expires_at = _expires_at(question)
        if expires_at and _on_expiry(step, question) != "keep_waiting":
            yield (parse(expires_at) - now()).total_seconds()


def _expires_at(question: Question) -> str | None:
    return question.asked.data.get("expires_at")


def _on_expiry(step: Step, question: Question) -> str:
    """What the definition says; a doubt about an interrupted call, or a limit, never expires."""
    tool = step.snapshot.definition.tool(question.call.name) if question.call else None
    if tool is None:
        return "keep_waiting"
    if tool.kind == "ask_human":
        return tool.on_expiry
    return tool.approval.on_expiry if tool.approval else "keep_waiting"
