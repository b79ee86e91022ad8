"""One writer of one run: it appends events after the last event of the history that it has read.

A conflict means that another writer appended events that this writer has not read. The journal then
reads these events, and its owner decides again from the longer history.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from runyard_service.adapters.conflict_retry import END_RUN_IN_THREAD_ATTEMPTS, retry_on_conflict
from runyard_service.adapters.dynamodb.attributes import TransactWriteItem
from runyard_service.adapters.stores import Stores
from runyard_service.domain.clock import timestamp
from runyard_service.domain.errors import AppendConflictError
from runyard_service.domain.event_payloads.messages import MessageCompleted
from runyard_service.domain.event_payloads.runs import (
    CodeVersion,
    ErrorInfo,
    RecoveredPayload,
    RunCompleted,
    RunFailed,
    RunPayload,
    RunStarted,
)
from runyard_service.domain.events import Event, NewEvent
from runyard_service.domain.history.history import History
from runyard_service.domain.request_errors import NotFoundError
from runyard_service.domain.runs import Run, RunStatus, Usage, usage_payload
from runyard_service.domain.threads import output_as_text
from runyard_service.observability.event_metrics import measure_event


class Journal:
    """A run, its history, and the methods that append to its log."""

    def __init__(self, stores: Stores, run: Run, history: History) -> None:
        self.stores = stores
        self.run = run
        self.history = history

    @classmethod
    def open(cls, stores: Stores, run_id: str) -> "Journal":
        """Read the run and its log. Raise NotFoundError if there is no such run."""
        run = stores.runs.get(run_id)
        if run is None:
            raise NotFoundError
        return cls(stores, run, stores.histories.read(run))

    def close(self) -> None:
        """Cache the history for the next journal of the run in this process."""
        self.stores.histories.cache(self.run.id, self.history)

    def catch_up(self) -> None:
        """Read the events that were appended since the last read."""
        self.stores.histories.catch_up(self.run.id, self.history)

    def append(
        self, new_events: Sequence[NewEvent], changes: Sequence[TransactWriteItem] = ()
    ) -> list[Event]:
        """Append events after the last read event, in one transaction with changes of records.

        Raise AppendConflictError if another writer was first, after reading its events.
        """
        try:
            events = self.stores.log.append(self.run.id, self.history.last, new_events, changes)
        except AppendConflictError:
            self.catch_up()
            raise
        for event in events:
            self.history.apply(event)
            measure_event(self.run, self.history, event)
        return events

    def recovered_event(self, reason: str) -> NewEvent:
        """Return the event that a worker recovers the run and a partial message is void."""
        return NewEvent(type="run.recovered", data=self._recovered(reason))

    def fall_back(self, failed_route: str, error: ErrorInfo, route: str, model: str) -> None:
        """Record that the run uses `route` and its `model` from now on.

        `error` is the last error of `failed_route`. A partial message is void.
        """
        data = self._recovered("model_fallback")
        data |= {"failed_route": failed_route, "route": route, "error": error}
        change = self.stores.runs.model_change(self.run, model)
        self.append([NewEvent(type="run.recovered", data=data)], [change])

    def _recovered(self, reason: str) -> RecoveredPayload:
        return {"id": self.run.id, "reason": reason, "attempt": self.history.recoveries + 1}

    def start(self, code: CodeVersion | None = None) -> None:
        """Append `run.started` and set the run's status to `started` in one transaction.

        `code` is the version of an agent's own code.
        """
        data: RunStarted = {"id": self.run.id, "object": "run", "status": "started"}
        if code is not None:
            data["code"] = code
        self.append(
            [NewEvent(type="run.started", data=data)],
            [self.stores.runs.status_change(self.run, "started", code=code)],
        )

    def resume(self, results: Sequence[NewEvent] = ()) -> None:
        """Append `run.resumed` and set the run's status to `started` in one transaction.

        `results` are the results of the calls that the answers resolve.
        """
        self.append(
            [NewEvent(type="run.resumed", data=_run_payload(self.run, "started")), *results],
            [
                self.stores.runs.status_change(
                    self.run, "started", open_requests=len(self.history.open_requests)
                )
            ],
        )

    def complete(
        self,
        output: Mapping[str, Any],
        message_events: Sequence[NewEvent] = (),
        changes: Sequence[TransactWriteItem] = (),
    ) -> None:
        """End the run with its output, in one transaction with the given events and changes.

        `message_events` are the last deltas of a new message and its `agent.message.completed`,
        or what the last invocation of an agent's own code did.
        """
        ended_at, usage = timestamp(), self.history.usage
        for new_event in message_events:
            if new_event.type == "agent.message.completed":
                usage = usage.plus(Usage.of_message(cast(MessageCompleted, new_event.data)))
            elif new_event.type in ("agent.step.completed", "agent.step.failed"):
                usage = usage.plus(Usage.of_step(new_event.data))
        completed: RunCompleted = {
            **_run_payload(self.run, "completed"),
            "output": output,
            "usage": usage_payload(usage, self.run.started_at, ended_at),
        }
        new_event = NewEvent(type="run.completed", data=completed)
        ended = self._ended("completed", usage, ended_at, output=output)
        self._end([*message_events, new_event], [ended, *changes], output)

    def fail(
        self,
        code: str,
        message: str,
        provider: Mapping[str, Any] | None = None,
        error_id: str = "",
    ) -> None:
        """End the run with an error.

        `provider` is what the provider of the model said. `error_id` finds the error in the log.
        """
        ended_at, usage = timestamp(), self.history.usage
        error: ErrorInfo = {"code": code, "message": message}
        if provider:
            error["provider"] = provider
        if error_id:
            error["error_id"] = error_id
        data: RunFailed = {
            **_run_payload(self.run, "failed"),
            "error": error,
            "usage": usage_payload(usage, self.run.started_at, ended_at),
        }
        new_event = NewEvent(type="run.failed", data=data)
        self._end([new_event], [self._ended("failed", usage, ended_at, error=error)])

    def cancel(self, requested_by: str, client_info: Mapping[str, Any]) -> None:
        """End the run as canceled. `requested_by` is the id of the caller."""
        request = {**client_info, "id": self.run.id, "requested_by": requested_by}
        new_events = [
            NewEvent(type="run.cancel_requested", data=request),
            NewEvent(type="run.canceled", data=_run_payload(self.run, "canceled")),
        ]
        self._end(new_events, [self._ended("canceled", self.history.usage, timestamp())])

    def _ended(
        self,
        status: RunStatus,
        usage: Usage,
        ended_at: str,
        *,
        output: Mapping[str, Any] | None = None,
        error: Mapping[str, Any] | None = None,
    ) -> TransactWriteItem:
        return self.stores.runs.end_change(
            self.run, status, usage, ended_at=ended_at, output=output, error=error
        )

    def _end(
        self,
        new_events: Sequence[NewEvent],
        changes: Sequence[TransactWriteItem],
        output: Mapping[str, Any] | None = None,
    ) -> None:
        if self.history.open_requests:
            requests = self.stores.input_requests
            voided = [
                requests.close_change(request, "void")
                for request in requests.open_of_run(self.run.id)
            ]
            changes = [*changes, *voided]
        if self.run.thread_id is None:
            self.append(new_events, changes)
        else:
            self._end_in_thread(self.run.thread_id, new_events, changes, output)

    def _end_in_thread(
        self,
        thread_id: str,
        new_events: Sequence[NewEvent],
        changes: Sequence[TransactWriteItem],
        output: Mapping[str, Any] | None,
    ) -> None:
        """Write the end, the output as the next message, and the free thread in one transaction.

        Read the thread again if only the thread has changed since the last read: a concurrent
        message must not prevent the end of the run.
        """
        threads, messages = self.stores.threads, self.stores.messages
        text = None if output is None else output_as_text(output)
        stored = {} if text is None else messages.save(thread_id, text)
        for attempt in retry_on_conflict(END_RUN_IN_THREAD_ATTEMPTS, AppendConflictError):
            thread, last = threads.get(thread_id), self.history.last
            in_thread: list[TransactWriteItem] = []
            if thread is not None and text is not None:
                in_thread = messages.answer_changes(thread, self.run, text, stored)
            elif thread is not None:
                in_thread = [threads.end_change(thread, self.run.id, answers=False)]
            with attempt:
                self.append(new_events, [*changes, *in_thread])
                return
            if self.history.last != last:
                break  # Another writer appended to the log: the caller has to decide again.
        raise AppendConflictError(self.run.id)


def _run_payload(run: Run, status: RunStatus) -> RunPayload:
    return {"id": run.id, "object": "run", "status": status}
