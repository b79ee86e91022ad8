"""What a log says: the fold over its events that every decision is taken from.

A tool call goes through these phases, each reached by one event:

    requested ──started──▶ started ──(no person needed)──▶ done
                              │                             ▲
                              └─asked─▶ asked ─answer─▶ answered ─run.resumed─▶ resumed

Whoever finds a call `started` or `resumed` in a log that it did not write itself cannot know
whether the call was made: only its tool's declared effect tells what to do.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from runyard.domain.clock import parse
from runyard.domain.costs import from_number
from runyard.domain.events import Event
from runyard.domain.runs import RunStatus, Usage

CallPhase = Literal["requested", "started", "asked", "answered", "resumed", "done"]


@dataclass
class Call:
    """One tool call of a reply and how far it has come.

    `questions` counts those asked about it; `question` and `answer` are the newest of each.
    """

    id: str
    name: str
    input: Mapping[str, Any]
    iteration: int
    phase: CallPhase = "requested"
    questions: int = 0
    question: Event | None = None
    answer: Event | None = None
    outcome: Event | None = None


@dataclass
class Exchange:
    """One reply of the model and the calls that it asked for, in its order."""

    reply: Mapping[str, Any]
    calls: list[Call] = field(default_factory=list)

    @property
    def unfinished(self) -> list[Call]:
        """The calls whose result the model is still waiting for."""
        return [call for call in self.calls if call.phase != "done"]


@dataclass
class Question:
    """What a person was asked: about a call, or, without one, about a limit that the run met."""

    asked: Event
    call: Call | None = None
    answer: Event | None = None

    @property
    def id(self) -> str:
        """The id of its request."""
        return str(self.asked.data["id"])

    @property
    def limit(self) -> str:
        """The name of the limit that it is about; empty where it is about a call."""
        return "" if self.call else str(self.asked.data["params"]["limit"])


def _is_refused(question: Question) -> bool:
    return question.answer is not None and not question.answer.data.get("is_approved")


def _is_lapsed(question: Question) -> bool:
    return question.answer is not None and question.answer.data.get("on_expiry") == "fail"


class History:
    """A run as its log tells it, up to and including event `last`.

    `raised` has the limits that a person raised, `cut_by` the limit that ended the newest reply
    before its time, as long as nobody has raised it.
    """

    def __init__(self) -> None:
        self.last = 0
        self.last_type = ""
        self.status: RunStatus = "created"
        self.exchanges: list[Exchange] = []
        self.usage = Usage()
        self.recoveries = 0
        self.partial_reply = False
        self.terminal: Event | None = None
        self.raised: dict[str, Decimal] = {}
        self.cut_by = ""
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
        self.cut_by = data.get("cut_by", "")
        usage = data.get("usage", {})
        cost = usage.get("cost_usd")
        self.usage = self.usage.plus(
            Usage(
                input_tokens=usage.get("input_tokens", 0),
                output_tokens=usage.get("output_tokens", 0),
                cached_input_tokens=usage.get("cached_input_tokens", 0),
                cost_usd=None if cost is None else from_number(cost),
                steps=1,
            )
        )

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
                self.recoveries, self.partial_reply = self.recoveries + 1, False
            case "run.completed":
                self.status, self.terminal = "completed", event
            case "run.failed":
                self.status, self.terminal = "failed", event
            case "run.canceled":
                self.status, self.terminal = "canceled", event
            case _:
                pass  # Events that change nothing here, also those of a later release.
