"""One writer's view of one run: the history that it has read, and the right to append behind it.

Losing an append means that somebody else wrote what this writer has not seen. The journal then
reads on, and its owner decides anew from the longer history.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from runyard_service.adapters.conflict_retry import END_RUN_IN_THREAD_ATTEMPTS, retry_on_conflict
from runyard_service.adapters.dynamodb.attributes import TransactWriteItem
from runyard_service.adapters.stores import Stores
from runyard_service.domain.clock import timestamp
from runyard_service.domain.errors import AppendConflictError, NotFoundError
from runyard_service.domain.event_payloads import MessageCompleted, RecoveredPayload
from runyard_service.domain.events import Event, NewEvent
from runyard_service.domain.history import History, usage_of_message
from runyard_service.domain.runs import Run, RunStatus, Usage, usage_payload
from runyard_service.domain.threads import output_as_text
from runyard_service.observability.event_metrics import measure_event


class Journal:
    """A run, its history, and the pen."""

    def __init__(self, stores: Stores, run: Run, history: History) -> None:
        self.stores = stores
        self.run = run
        self.history = history

    @classmethod
    def open(cls, stores: Stores, run_id: str) -> "Journal":
        """Read what the run's log says. Raises NotFoundError where there is no such run."""
        run = stores.runs.get(run_id)
        if run is None:
            raise NotFoundError
        return cls(stores, run, stores.histories.read(run))

    def close(self) -> None:
        """Leave what was read to this process's next journal of the run."""
        self.stores.histories.cache(self.run.id, self.history)

    def catch_up(self) -> None:
        """Read what was appended since."""
        self.stores.histories.catch_up(self.run.id, self.history)

    def append(
        self, drafts: Sequence[NewEvent], changes: Sequence[TransactWriteItem] = ()
    ) -> list[Event]:
        """Append behind all that was read, together with changes of records.

        Raises AppendConflictError where somebody was first; what he wrote has then been read.
        """
        try:
            events = self.stores.log.append(self.run.id, self.history.last, drafts, changes)
        except AppendConflictError:
            self.catch_up()
            raise
        for event in events:
            self.history.apply(event)
            measure_event(self.run, self.history, event)
        return events

    def recovered_event(self, reason: str) -> NewEvent:
        """What says that the run is taken up again: what it had published of a reply is void."""
        attempt = self.history.recoveries + 1
        data: RecoveredPayload = {"id": self.run.id, "reason": reason, "attempt": attempt}
        return NewEvent(type="run.recovered", data=data)

    def start(self) -> None:
        """Append `run.started` and set the run's status to `started` in one transaction."""
        self.append(
            [NewEvent(type="run.started", data=_run_payload(self.run, "started"))],
            [self.stores.runs.status_change(self.run, "started")],
        )

    def resume(self, settled: Sequence[NewEvent] = ()) -> None:
        """Append `run.resumed` and set the run's status to `started` in one transaction.

        `settled` are the results that the answers decide.
        """
        self.append(
            [NewEvent(type="run.resumed", data=_run_payload(self.run, "started")), *settled],
            [self.stores.runs.status_change(self.run, "started")],
        )

    def complete(
        self,
        output: Mapping[str, Any],
        reply: Sequence[NewEvent] = (),
        changes: Sequence[TransactWriteItem] = (),
    ) -> None:
        """The run has its answer; `reply` and `changes` of records go with it where they are new.

        The last of `reply` is the reply itself, before it what is left of its deltas.
        """
        ended_at, usage = timestamp(), self.history.usage
        if reply:
            usage = usage.plus(usage_of_message(cast(MessageCompleted, reply[-1].data)))
        data = {"output": output, "usage": usage_payload(usage, self.run.started_at, ended_at)}
        draft = NewEvent(type="run.completed", data=_run_payload(self.run, "completed") | data)
        ended = self._ended("completed", usage, ended_at, output=output)
        self._end([*reply, draft], [ended, *changes], output)

    def fail(self, code: str, message: str) -> None:
        """The run cannot go on."""
        ended_at, error, usage = timestamp(), {"code": code, "message": message}, self.history.usage
        data = {"error": error, "usage": usage_payload(usage, self.run.started_at, ended_at)}
        draft = NewEvent(type="run.failed", data=_run_payload(self.run, "failed") | data)
        self._end([draft], [self._ended("failed", usage, ended_at, error=error)])

    def cancel(self, requested_by: str, client_info: Mapping[str, Any]) -> None:
        """Somebody wants the run to stop."""
        asked = {**client_info, "id": self.run.id, "requested_by": requested_by}
        drafts = [
            NewEvent(type="run.cancel_requested", data=asked),
            NewEvent(type="run.canceled", data=_run_payload(self.run, "canceled")),
        ]
        self._end(drafts, [self._ended("canceled", self.history.usage, timestamp())])

    def _ended(
        self,
        status: RunStatus,
        usage: Usage,
        ended_at: str,
        *,
        output: Mapping[str, Any] | None = None,
        error: Mapping[str, str] | None = None,
    ) -> TransactWriteItem:
        return self.stores.runs.end_change(
            self.run, status, usage, ended_at=ended_at, output=output, error=error
        )

    def _end(
        self,
        drafts: Sequence[NewEvent],
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
            self.append(drafts, changes)
        else:
            self._end_in_thread(self.run.thread_id, drafts, changes, output)

    def _end_in_thread(
        self,
        thread_id: str,
        drafts: Sequence[NewEvent],
        changes: Sequence[TransactWriteItem],
        output: Mapping[str, Any] | None,
    ) -> None:
        """The end, the answer as the thread's next message, and the thread free again: all or none.

        Where only the thread has changed since it was read, it is read again: no message that comes
        at the same moment can keep a run from its end.
        """
        threads, messages = self.stores.threads, self.stores.messages
        text = None if output is None else output_as_text(output)
        kept = {} if text is None else messages.save(thread_id, text)
        for attempt in retry_on_conflict(END_RUN_IN_THREAD_ATTEMPTS):
            thread, last = threads.get(thread_id), self.history.last
            in_thread: list[TransactWriteItem] = []
            if thread is not None and text is not None:
                in_thread = messages.answer_changes(thread, self.run, text, kept)
            elif thread is not None:
                in_thread = [threads.end_change(thread, self.run.id, answers=False)]
            with attempt:
                self.append(drafts, [*changes, *in_thread])
                return
            if self.history.last != last:
                break  # Another writer appended to the log: the caller has to decide again.
        raise AppendConflictError(self.run.id)


def _run_payload(run: Run, status: RunStatus) -> dict[str, Any]:
    return {"id": run.id, "object": "run", "status": status}
