"""The state of a run: a fold over the events of its log. Every decision reads it."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import cast

from runyard_service.domain.clock import parse
from runyard_service.domain.costs import from_number
from runyard_service.domain.event_payloads.input_requests import ApprovalResolved, LimitParams
from runyard_service.domain.event_payloads.messages import ContextCompacted, MessageCompleted
from runyard_service.domain.event_payloads.operations import OperationRef
from runyard_service.domain.event_payloads.tool_calls import ReturnedFilePayload, ToolsListed
from runyard_service.domain.events import DELTA_TYPES, Event
from runyard_service.domain.runs import RunStatus, Usage
from runyard_service.domain.steps import InputRequestState, StepRecord, ToolCallState


def usage_of_message(data: MessageCompleted) -> Usage:
    """Return the usage of a message: one step, and the tokens and USD that its event reports."""
    return Usage.reported(data.get("usage", {}), steps=1)


class History:
    """The state of a run after event `last` of its log.

    `limit_overrides` has the limits that a person raised. `truncated_by` names the limit that
    truncated the newest message, until a person raises that limit. `lost_executions` counts the
    executions since the last progress that ended without ending the run. `compaction` is the newest
    `agent.context.compacted`. `route` names the fallback route that the run uses, empty before the
    first switch; `failed_routes` has the last error of each route before it. `tool_lists` has the
    lists of MCP servers by server. `code` is the version of an
    agent's own code. `sleeps_until` is the time (RFC 3339) at which a paused run
    continues by itself, empty if there is none. `durable_events` are the events without the deltas.
    `size_chars` is the length of their data as text.
    """

    def __init__(self) -> None:
        self.last = 0
        self.last_type = ""
        self.status: RunStatus = "created"
        self.steps: list[StepRecord] = []
        self.usage = Usage()
        self.recoveries = 0
        self.lost_executions = 0
        self.has_partial_message = False
        self.terminal: Event | None = None
        self.limit_overrides: dict[str, Decimal] = {}
        self.truncated_by = ""
        self.compaction: ContextCompacted | None = None
        self.route = ""
        self.failed_routes: dict[str, str] = {}
        self.tool_lists: dict[str, ToolsListed] = {}
        self.sleeps_until = ""
        self.code: Mapping[str, str] = {}
        self.durable_events: list[Event] = []
        self.size_chars = 0
        self._tool_calls: dict[str, ToolCallState] = {}
        # The operations of an agent's own code that have no result.
        self._open_operations: dict[str, ToolCallState] = {}
        self._input_requests: dict[str, InputRequestState] = {}
        self._active_time = timedelta()
        self._active_since: datetime | None = None

    @classmethod
    def of(cls, events: Iterable[Event]) -> "History":
        """Return the history after these events, which start with the first event of the log."""
        history = cls()
        for event in events:
            history.apply(event)
        return history

    @classmethod
    def from_checkpoint(cls, durable_events: Iterable[Event]) -> "History":
        """Return the history after these events, which are the log without its deltas."""
        history = cls()
        for event in durable_events:
            history.last = event.sequence - 1
            history.apply(event)
        return history

    @property
    def can_be_restored(self) -> bool:
        """Return whether `durable_events` are enough: no delta follows the last of them."""
        return (
            bool(self.durable_events)
            and self.durable_events[-1].sequence == self.last
            and not self.has_partial_message
        )

    @property
    def has_ended(self) -> bool:
        """Return whether the log has its terminal event."""
        return self.terminal is not None

    @property
    def current(self) -> StepRecord | None:
        """Return the newest message with its calls; None before the first message."""
        return self.steps[-1] if self.steps else None

    @property
    def unfinished(self) -> list[ToolCallState]:
        """Return the calls of the newest message without a result, in the order of the message.

        Also return the operations of an agent's own code without a result, oldest first.
        """
        of_message = self.current.unfinished if self.current else []
        return [*of_message, *self._open_operations.values()]

    @property
    def returned_files(self) -> list[ReturnedFilePayload]:
        """Return the files of all tool results, oldest step first."""
        outcomes = [call.outcome for step in self.steps for call in step.calls if call.outcome]
        return [file for outcome in outcomes for file in outcome.data.get("files", ())]

    @property
    def open_requests(self) -> list[InputRequestState]:
        """Return the input requests without an answer, oldest first."""
        return [request for request in self._input_requests.values() if request.answer is None]

    @property
    def last_answer(self) -> Event | None:
        """Return the newest answer of a person; None if there is none."""
        answers = [
            request.answer
            for request in self._input_requests.values()
            if request.answer and request.answer.type != "input_request.expired"
        ]
        return max(answers, key=lambda answer: answer.sequence, default=None)

    @property
    def limit_requests(self) -> list[InputRequestState]:
        """Return the input requests about limits, oldest first."""
        return [request for request in self._input_requests.values() if request.limit]

    @property
    def tools_request(self) -> InputRequestState | None:
        """Return the request to use changed tools of MCP servers; None if there is none."""
        requests = self._input_requests.values()
        return next((request for request in requests if request.is_about_tools), None)

    @property
    def denied_limit_request(self) -> InputRequestState | None:
        """Return the newest limit request if a person denied it, else None."""
        return next((each for each in self.limit_requests[-1:] if each.is_denied), None)

    @property
    def expired_and_failing(self) -> InputRequestState | None:
        """Return an expired input request that fails the run; None if there is none."""
        return next((each for each in self._input_requests.values() if each.fails_run), None)

    def active_time(self, at: datetime) -> timedelta:
        """Return how long the run was active until `at`, without its waits for a person."""
        if self._active_since is None:
            return self._active_time
        return self._active_time + max(timedelta(), at - self._active_since)

    @property
    def is_mid_step(self) -> bool:
        """Return whether a message or a call is unfinished, as after the crash of a worker."""
        phases = {call.phase for call in self.unfinished if call.kind != "sleep"}
        return self.has_partial_message or not phases.isdisjoint(
            {"started", "input_required", "resumed"}
        )

    def apply(self, event: Event) -> None:
        """Update the state with the next event. Raise ValueError if its sequence is not next."""
        if event.sequence != self.last + 1:
            raise ValueError(f"event {event.sequence} cannot follow event {self.last}")
        self.last, self.last_type = event.sequence, event.type
        if event.type not in DELTA_TYPES:
            self.durable_events.append(event)
            self.size_chars += len(str(event.data))
        # Other types have no effect: run.cancel_requested, and types of later releases.
        handler = _HANDLERS.get(event.type)
        if handler is not None:
            handler(self, event)

    def _on_tools_listed(self, event: Event) -> None:
        data = cast(ToolsListed, event.data)
        self.tool_lists[data["server"]] = data
        self.lost_executions = 0

    def _on_delta(self, _: Event) -> None:
        self.has_partial_message = True

    def _on_message(self, event: Event) -> None:
        data = cast(MessageCompleted, event.data)
        step = StepRecord(message=data)
        # The agent's own code decides what it does with the calls in a response that it requested.
        for call in () if "op" in data else data.get("tool_calls", ()):
            state = ToolCallState(call["id"], call["name"], call["input"], data["iteration"])
            step.calls.append(state)
            self._tool_calls[state.id] = state
        self.steps.append(step)
        self.has_partial_message = False
        self.lost_executions = 0
        self.truncated_by = data.get("truncated_by", "")
        self.usage = self.usage.plus(usage_of_message(data))

    def _on_compacted(self, event: Event) -> None:
        self.compaction = cast(ContextCompacted, event.data)
        self.lost_executions = 0
        # The call that writes a summary costs tokens and USD. It is no step.
        self.usage = self.usage.plus(Usage.reported(self.compaction["usage"], steps=0))

    def _on_call_started(self, event: Event) -> None:
        if "op" in event.data:
            self._open(event, event.data["tool"]["name"], event.data["op"])
        self._tool_calls[event.data["id"]].phase = "started"

    def _open(self, event: Event, name: str, op: OperationRef) -> None:
        data = event.data
        call = ToolCallState(
            data["id"], name, data.get("input", {}), data.get("iteration", 0), "started", op=op
        )
        self._tool_calls[call.id] = self._open_operations[call.id] = call

    def _on_step_started(self, event: Event) -> None:
        key, digest = event.data["key"], event.data["digest"]
        self._open(event, event.data["name"], {"key": key, "digest": digest, "kind": "step"})

    def _on_step_done(self, event: Event) -> None:
        self._open_operations.pop(event.data["id"], None)
        self.lost_executions = 0

    def _on_emitted(self, _: Event) -> None:
        self.lost_executions = 0

    def _on_call_done(self, event: Event) -> None:
        call = self._tool_calls[event.data["id"]]
        call.phase, call.outcome = "done", event
        self._open_operations.pop(call.id, None)
        self.lost_executions = 0

    def _on_call_input_required(self, event: Event) -> None:
        call = self._tool_calls[event.data["id"]]
        call.phase = "input_required"
        call.rounds.append(event)
        self.lost_executions = 0

    def _on_input_requested(self, event: Event) -> None:
        request = InputRequestState(event)
        if "tool_call_id" in event.data:
            call = request.call = self._tool_calls[event.data["tool_call_id"]]
            call.phase, call.request_count = "asked", call.request_count + 1
            call.request, call.answer = event, None
        self._input_requests[request.id] = request

    def _on_input_closed(self, event: Event) -> None:
        request = self._input_requests[event.data["id"]]
        request.answer = event
        self.lost_executions = 0
        if request.call is not None:
            request.call.phase, request.call.answer = "answered", event
            request.call.answers[request.id] = event
            if event.data.get("is_approved"):
                request.call.approved_input = event.data["effective_params"]
        elif request.limit and event.data.get("is_approved"):
            resolved = cast(ApprovalResolved, event.data)
            params = cast(LimitParams, resolved["effective_params"])
            self.limit_overrides[request.limit] = from_number(params["new_limit"])
            self.truncated_by = ""

    def _on_started(self, event: Event) -> None:
        self.code = event.data.get("code", {})
        self.status, self._active_since = "started", parse(event.timestamp)

    def _on_paused(self, event: Event) -> None:
        self._active_time = self.active_time(parse(event.timestamp))
        self.status, self._active_since = "paused", None
        self.sleeps_until = event.data.get("until", "")

    def _on_resumed(self, event: Event) -> None:
        self.status, self._active_since = "started", parse(event.timestamp)
        self.sleeps_until = ""
        for call in self.unfinished:
            if call.phase == "answered":
                call.phase = "resumed"

    def _on_recovered(self, event: Event) -> None:
        self.recoveries += 1
        self.lost_executions += event.data.get("reason") in ("execution_ended", "token_rejected")
        self.has_partial_message = False
        if "route" in event.data:
            self.route = event.data["route"]
            self.failed_routes[event.data["failed_route"]] = event.data["error"]["message"]

    def _on_ended(self, event: Event) -> None:
        self.status, self.terminal = _END_STATUS[event.type], event


_END_STATUS: Mapping[str, RunStatus] = {
    "run.completed": "completed",
    "run.failed": "failed",
    "run.canceled": "canceled",
}
_HANDLERS: Mapping[str, Callable[[History, Event], None]] = {
    "agent.tools.listed": History._on_tools_listed,
    "agent.reasoning.delta": History._on_delta,
    "agent.response.delta": History._on_delta,
    "agent.message.completed": History._on_message,
    "agent.context.compacted": History._on_compacted,
    "agent.tool_call.started": History._on_call_started,
    "agent.tool_call.completed": History._on_call_done,
    "agent.tool_call.failed": History._on_call_done,
    "agent.tool_call.input_required": History._on_call_input_required,
    "agent.step.started": History._on_step_started,
    "agent.step.completed": History._on_step_done,
    "agent.step.failed": History._on_step_done,
    "agent.emitted": History._on_emitted,
    "agent.human_feedback.requested": History._on_input_requested,
    "approval_request.created": History._on_input_requested,
    "agent.human_feedback.received": History._on_input_closed,
    "approval_request.resolved": History._on_input_closed,
    "input_request.expired": History._on_input_closed,
    "run.started": History._on_started,
    "run.paused": History._on_paused,
    "run.resumed": History._on_resumed,
    "run.recovered": History._on_recovered,
    "run.completed": History._on_ended,
    "run.failed": History._on_ended,
    "run.canceled": History._on_ended,
}
