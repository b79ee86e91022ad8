"""One writer's view of one run: the history that it has read, and the right to append behind it.

Losing an append means that somebody else wrote what this writer has not seen. The journal then
reads on, and its owner decides anew from the longer history.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from runyard.domain.clock import stamp
from runyard.domain.errors import AppendConflictError, NotFoundError
from runyard.domain.events import Draft, Event
from runyard.domain.history import History
from runyard.domain.runs import Run, RunStatus, shown_usage
from runyard.domain.threads import answer_text
from runyard.store.dynamo import Change
from runyard.store.stores import Stores

# How often the end of a run may meet a message that comes to its thread at the same moment.
_ATTEMPTS = 20


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
        self.stores.histories.give_back(self.run.id, self.history)

    def catch_up(self) -> None:
        """Read what was appended since."""
        self.stores.histories.catch_up(self.run.id, self.history)

    def append(self, drafts: Sequence[Draft], changes: Sequence[Change] = ()) -> list[Event]:
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
        return events

    def recovered(self, reason: str) -> Draft:
        """What says that the run is taken up again: what it had published of a reply is void."""
        data = {"id": self.run.id, "reason": reason, "attempt": self.history.recoveries + 1}
        return Draft(type="run.recovered", data=data)

    def start(self) -> None:
        """A worker begins with the run."""
        self.append(
            [Draft(type="run.started", data=_life(self.run, "started"))],
            [self.stores.runs.status_change(self.run.id, "started")],
        )

    def resume(self) -> None:
        """The last answer has come, and the run goes on."""
        self.append(
            [Draft(type="run.resumed", data=_life(self.run, "started"))],
            [self.stores.runs.status_change(self.run.id, "started")],
        )

    def complete(self, output: Mapping[str, Any]) -> None:
        """The run has its answer."""
        ended_at = stamp()
        data = {"output": output, "usage": self._usage(ended_at)}
        draft = Draft(type="run.completed", data=_life(self.run, "completed") | data)
        self._end("completed", [draft], ended_at, output=output)

    def fail(self, code: str, message: str) -> None:
        """The run cannot go on."""
        ended_at, error = stamp(), {"code": code, "message": message}
        data = {"error": error, "usage": self._usage(ended_at)}
        draft = Draft(type="run.failed", data=_life(self.run, "failed") | data)
        self._end("failed", [draft], ended_at, error=error)

    def cancel(self, requested_by: str, remarks: Mapping[str, Any]) -> None:
        """Somebody wants the run to stop."""
        asked = {**remarks, "id": self.run.id, "requested_by": requested_by}
        drafts = [
            Draft(type="run.cancel_requested", data=asked),
            Draft(type="run.canceled", data=_life(self.run, "canceled")),
        ]
        self._end("canceled", drafts, stamp())

    def _end(
        self,
        status: RunStatus,
        drafts: Sequence[Draft],
        ended_at: str,
        *,
        output: Mapping[str, Any] | None = None,
        error: Mapping[str, str] | None = None,
    ) -> None:
        stores, run_id = self.stores, self.run.id
        ended = stores.runs.end_change(
            run_id, status, self.history.usage, ended_at=ended_at, output=output, error=error
        )
        changes = [ended]
        if self.history.open_questions:
            changes += [
                stores.input_requests.settle_change(request, "void")
                for request in stores.input_requests.open_of_run(run_id)
            ]
        if self.run.thread_id is None:
            self.append(drafts, changes)
        else:
            self._end_in_thread(self.run.thread_id, drafts, changes, output)

    def _end_in_thread(
        self,
        thread_id: str,
        drafts: Sequence[Draft],
        changes: Sequence[Change],
        output: Mapping[str, Any] | None,
    ) -> None:
        """The end, the answer as the thread's next message, and the thread free again: all or none.

        Where only the thread has changed since it was read, it is read again: no message that comes
        at the same moment can keep a run from its end.
        """
        threads, messages = self.stores.threads, self.stores.messages
        for attempt in range(1, _ATTEMPTS + 1):
            thread, last = threads.get(thread_id), self.history.last
            in_thread: list[Change] = []
            if thread is not None and output is not None:
                in_thread = messages.answer_changes(thread, self.run, answer_text(output))
            elif thread is not None:
                in_thread = [threads.end_change(thread, self.run.id, answers=False)]
            try:
                self.append(drafts, [*changes, *in_thread])
                return
            except AppendConflictError:
                if self.history.last != last or attempt == _ATTEMPTS:
                    raise

    def _usage(self, ended_at: str) -> Mapping[str, Any]:
        """Tokens, USD (left out while no price is known), steps, milliseconds from start to end."""
        return shown_usage(self.history.usage, self.run.started_at, ended_at)


def _life(run: Run, status: RunStatus) -> dict[str, Any]:
    return {"id": run.id, "object": "run", "status": status}
