"""What a log says: the fold over its events that every decision is taken from."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from runyard_service.domain.clock import parse
from runyard_service.domain.costs import from_number
from runyard_service.domain.events import DELTA_TYPES, Event
from runyard_service.domain.runs import RunStatus, Usage
from runyard_service.domain.steps import Call, Exchange, Question


def _is_refused(question: Question) -> bool:
    return question.answer is not None and not question.answer.data.get("is_approved")


def _is_lapsed(question: Question) -> bool:
    return question.answer is not None and question.answer.data.get("on_expiry") == "fail"


def usage_of_reply(data: Mapping[str, Any]) -> Usage:
    """What a reply has used, by its event: one step, and the tokens and USD that were reported."""
    usage = data.get("usage", {})
    cost = usage.get("cost_usd")
    return Usage(
        input_tokens=usage.get("input_tokens", 0),
        output_tokens=usage.get("output_tokens", 0),
        cached_input_tokens=usage.get("cached_input_tokens", 0),
        cost_usd=None if cost is None else from_number(cost),
        steps=1,
    )


class History:
    """A run as its log tells it, up to and including event `last`.

    `raised` has the limits that a person raised, `cut_by` the limit that ended the newest reply
    before its time, as long as nobody has raised it. `lost_executions` counts those that ended
    without ending the run since it last got any further. `kept` are the events without the deltas,
    and `characters` how long their data is as text: all that a history can be restored from.
    """

    def __init__(self) -> None:
        self.last = 0
        self.last_type = ""
        self.status: RunStatus = "created"
        self.exchanges: list[Exchange] = []
        self.usage = Usage()
        self.recoveries = 0
        self.lost_executions = 0
        self.partial_reply = False
        self.terminal: Event | None = None
        self.raised: dict[str, Decimal] = {}
        self.cut_by = ""
        self.kept: list[Event] = []
        self.characters = 0
        self._calls: dict[str, Call] = {}
        self._questions: dict[str, Question] = {}
        self._worked = timedelta()
        self._at_work_since: datetime | None = None

    @classmethod
    def of(cls, events: Iterable[Event]) -> "History":
        """The history that these events, from the first on, add up to."""
        history = cls()
        for event in events:
            history.apply(event)
        return history

    @classmethod
    def restored(cls, kept: Iterable[Event]) -> "History":
        """The history up to the last of these events, the log's without its deltas."""
        history = cls()
        for event in kept:
            history.last = event.sequence - 1
            history.apply(event)
        return history

    @property
    def can_be_restored(self) -> bool:
        """Whether the events that are kept say it all: no delta came since the last of them."""
        return bool(self.kept) and self.kept[-1].sequence == self.last and not self.partial_reply

    @property
    def has_ended(self) -> bool:
        """Whether the terminal event is there."""
        return self.terminal is not None

    @property
    def current(self) -> Exchange | None:
        """The newest reply with its calls."""
        return self.exchanges[-1] if self.exchanges else None

    @property
    def unfinished(self) -> list[Call]:
        """The calls of the newest reply that have no result yet, in their order."""
        return self.current.unfinished if self.current else []

    @property
    def open_questions(self) -> list[Question]:
        """What waits for a person's answer, oldest first."""
        return [question for question in self._questions.values() if question.answer is None]

    @property
    def last_answer(self) -> Event | None:
        """The newest answer that a person has given."""
        answers = [
            question.answer
            for question in self._questions.values()
            if question.answer and question.answer.type != "input_request.expired"
        ]
        return max(answers, key=lambda answer: answer.sequence, default=None)

    @property
    def limit_questions(self) -> list[Question]:
        """What was asked about limits, oldest first."""
        return [question for question in self._questions.values() if question.call is None]

    @property
    def refusal(self) -> Question | None:
        """The question about a limit that a person did not want to raise."""
        return next(filter(_is_refused, self.limit_questions[-1:]), None)

    @property
    def lapsed(self) -> Question | None:
        """A question that nobody answered in time, and that fails the run for it."""
        return next(filter(_is_lapsed, self._questions.values()), None)

    def worked(self, at: datetime) -> timedelta:
        """How long the run has been at work by then; its waits for a person do not count."""
        if self._at_work_since is None:
            return self._worked
        return self._worked + max(timedelta(), at - self._at_work_since)

    @property
    def mid_step(self) -> bool:
        """Whether something was begun and not finished: the mark that a crashed worker leaves."""
        phases = {call.phase for call in self.unfinished}
        return self.partial_reply or not phases.isdisjoint({"started", "resumed"})

    def apply(self, event: Event) -> None:
        """Take in the next event."""
        if event.sequence != self.last + 1:
            raise ValueError(f"event {event.sequence} cannot follow event {self.last}")
        self.last, self.last_type = event.sequence, event.type
        data = event.data
        if event.type not in DELTA_TYPES:
            self.kept.append(event)
            self.characters += len(str(data))
        match event.type:
            case "agent.response.delta" | "agent.reasoning.delta":
                self.partial_reply = True
            case "agent.message.completed":
                self._take_reply(data)
            case "agent.tool_call.started":
                self._calls[data["id"]].phase = "started"
            case "agent.tool_call.completed" | "agent.tool_call.failed":
                call = self._calls[data["id"]]
                call.phase, call.outcome = "done", event
                self.lost_executions = 0
            case "agent.human_feedback.requested" | "approval_request.created":
                self._take_question(event)
            case (
                "agent.human_feedback.received"
                | "approval_request.resolved"
                | "input_request.expired"
            ):
                self._take_answer(event)
            case _:
                self._take_life_event(event)

    def _take_question(self, event: Event) -> None:
        question = Question(event)
        if "tool_call_id" in event.data:
            call = question.call = self._calls[event.data["tool_call_id"]]
            call.phase, call.questions = "asked", call.questions + 1
            call.question, call.answer = event, None
        self._questions[question.id] = question

    def _take_answer(self, event: Event) -> None:
        question = self._questions[event.data["id"]]
        question.answer = event
        self.lost_executions = 0
        if question.call is not None:
            question.call.phase, question.call.answer = "answered", event
        elif event.data.get("is_approved"):
            self.raised[question.limit] = from_number(event.data["effective_params"]["raised_to"])
            self.cut_by = ""

    def _take_reply(self, data: Mapping[str, Any]) -> None:
        exchange = Exchange(reply=data)
        for call in data.get("tool_calls", ()):
            known = Call(call["id"], call["name"], call["input"], data["iteration"])
            exchange.calls.append(known)
            self._calls[known.id] = known
        self.exchanges.append(exchange)
        self.partial_reply = False
        self.lost_executions = 0
        self.cut_by = data.get("cut_by", "")
        self.usage = self.usage.plus(usage_of_reply(data))

    def _take_life_event(self, event: Event) -> None:
        match event.type:
            case "run.started":
                self.status, self._at_work_since = "started", parse(event.timestamp)
            case "run.paused":
                self._worked = self.worked(parse(event.timestamp))
                self.status, self._at_work_since = "paused", None
            case "run.resumed":
                self.status, self._at_work_since = "started", parse(event.timestamp)
                for call in self.unfinished:
                    if call.phase == "answered":
                        call.phase = "resumed"
            case "run.recovered":
                self.recoveries += 1
                self.lost_executions += event.data.get("reason") == "execution_ended"
                self.partial_reply = False
            case "run.completed":
                self.status, self.terminal = "completed", event
            case "run.failed":
                self.status, self.terminal = "failed", event
            case "run.canceled":
                self.status, self.terminal = "canceled", event
            case _:
                pass  # Events that change nothing here, also those of a later release.
