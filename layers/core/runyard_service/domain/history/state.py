"""The state of a run, which the events of its log set. Every decision reads it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from math import inf

from runyard_service.domain.clock import seconds_until
from runyard_service.domain.event_payloads.messages import ContextCompacted
from runyard_service.domain.event_payloads.tool_calls import ReturnedFilePayload, ToolsListed
from runyard_service.domain.events import Event
from runyard_service.domain.runs import RunStatus, Usage
from runyard_service.domain.steps import InputRequestState, StepRecord, ToolCallState

# The key of `failed_attempts` for the model call in progress: it has no id.
MODEL_CALL = ""


class RunState:
    """What the log says about a run after event `last`, and what every decision asks about it.

    `limit_overrides` has the limits that a person raised. `truncated_by` names the limit that
    truncated the newest message, until a person raises that limit. `lost_executions` counts the
    executions since the last progress that ended without ending the run. `compaction` is the newest
    `agent.context.compacted`. `route` names the fallback route that the run uses, empty before the
    first switch; `failed_routes` has the last error of each route before it. `tool_lists` has the
    lists of MCP servers by server. `failed_attempts` has the number of the newest recorded attempt
    of each failed tool call by its id, and of the model call in progress by `MODEL_CALL`. `code` is
    the version of an agent's own code. `invocations` is the number of its newest invocation that
    has left an event. `paused_at` is the sequence of the newest pause. `sleeps_until` is the time
    (RFC 3339) at which a paused run continues by itself, empty if there is none.

    `durable_events` are the events without the deltas, `size_chars` the length of their data as
    text. `tool_calls` and `input_requests` are all of the run, by id. `open_operations` are the
    operations of an agent's own code that have no result, by id. `past_active_time` excludes the
    time since `active_since`, which is None while the run is not active.
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
        self.failed_attempts: dict[str, int] = {}
        self.tool_lists: dict[str, ToolsListed] = {}
        self.paused_at = 0
        self.sleeps_until = ""
        self.code: Mapping[str, str] = {}
        self.invocations = 0
        self.durable_events: list[Event] = []
        self.size_chars = 0
        self.tool_calls: dict[str, ToolCallState] = {}
        self.open_operations: dict[str, ToolCallState] = {}
        self.input_requests: dict[str, InputRequestState] = {}
        self.past_active_time = timedelta()
        self.active_since: datetime | None = None

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
        return [*of_message, *self.open_operations.values()]

    @property
    def returned_files(self) -> list[ReturnedFilePayload]:
        """Return the files of all tool results, oldest step first."""
        outcomes = [call.outcome for step in self.steps for call in step.calls if call.outcome]
        return [file for outcome in outcomes for file in outcome.data.get("files", ())]

    @property
    def open_requests(self) -> list[InputRequestState]:
        """Return the input requests without an answer, oldest first."""
        return [request for request in self.input_requests.values() if request.answer is None]

    @property
    def has_new_answer(self) -> bool:
        """Return whether a call has an answer that no worker has acted on."""
        return any(call.phase == "answered" for call in self.unfinished)

    @property
    def has_decision(self) -> bool:
        """Return whether the run paused for a limit or changed tools, and this wait is over.

        The run then continues, also if its own code has input requests that are still open.
        """
        about_run = [each.answer for each in self.input_requests.values() if each.call is None]
        return any(answer and answer.sequence > self.paused_at for answer in about_run)

    @property
    def is_waiting(self) -> bool:
        """Return whether a paused run waits: for an answer, or until `sleeps_until`."""
        if self.status != "paused" or self.has_decision:
            return False
        if self.open_requests:
            return True
        return bool(self.sleeps_until) and not self.has_new_answer

    @property
    def seconds_of_sleep(self) -> float:
        """Return the seconds until a paused run continues by itself; infinite if it does not."""
        return seconds_until(self.sleeps_until) if self.sleeps_until else inf

    @property
    def last_answer(self) -> Event | None:
        """Return the newest answer of a person; None if there is none."""
        answers = [
            request.answer
            for request in self.input_requests.values()
            if request.answer and request.answer.type != "input_request.expired"
        ]
        return max(answers, key=lambda answer: answer.sequence, default=None)

    @property
    def limit_requests(self) -> list[InputRequestState]:
        """Return the input requests about limits, oldest first."""
        return [request for request in self.input_requests.values() if request.limit]

    @property
    def tools_request(self) -> InputRequestState | None:
        """Return the request to use changed tools of MCP servers; None if there is none."""
        requests = self.input_requests.values()
        return next((request for request in requests if request.is_about_tools), None)

    @property
    def denied_limit_request(self) -> InputRequestState | None:
        """Return the newest limit request if a person denied it, else None."""
        return next((each for each in self.limit_requests[-1:] if each.is_denied), None)

    @property
    def expired_and_failing(self) -> InputRequestState | None:
        """Return an expired input request that fails the run; None if there is none."""
        return next((each for each in self.input_requests.values() if each.fails_run), None)

    def active_time(self, at: datetime) -> timedelta:
        """Return how long the run was active until `at`, without its waits for a person."""
        if self.active_since is None:
            return self.past_active_time
        return self.past_active_time + max(timedelta(), at - self.active_since)

    @property
    def is_mid_step(self) -> bool:
        """Return whether a message or a call is unfinished, as after the crash of a worker."""
        phases = {call.phase for call in self.unfinished if call.kind != "sleep"}
        return self.has_partial_message or not phases.isdisjoint(
            {"started", "input_required", "resumed"}
        )
