"""`client.runs`: start, follow, answer and read runs."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar, overload

from runyard.client.core import runs
from runyard.client.core.bodies import FileSource
from runyard.client.core.follow import Cursor
from runyard.client.core.outputs import OutputModel, to_model
from runyard.client.models import Run
from runyard.client.sync.streams import RunStream
from runyard.client.sync.transport import Transport
from runyard.events import Event

M = TypeVar("M", bound=OutputModel)


class Runs:
    """The runs of the project."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    def create(
        self,
        input: Mapping[str, Any],
        *,
        agent: str | None = None,
        user_id: str | None = None,
        session_id: str | None = None,
        files: Sequence[FileSource] = (),
        file_ids: Sequence[str] = (),
        wait: bool = True,
        timeout: float | None = None,
        idempotency_key: str | None = None,
    ) -> Run:
        """Start a run; return it when it has ended, or when it waits for a person.

        `files` are paths, or names with bytes, and are uploaded first. With `wait=False`, return
        at once. Raise Timeout after `timeout` seconds; the run continues.
        """
        new = runs.NewRun(input, agent, user_id, session_id, files, file_ids, idempotency_key)
        return self.transport.run(runs.create(new, timeout) if wait else runs.start(new))

    def stream(
        self,
        input: Mapping[str, Any],
        *,
        agent: str | None = None,
        user_id: str | None = None,
        session_id: str | None = None,
        files: Sequence[FileSource] = (),
        file_ids: Sequence[str] = (),
        deltas: bool = True,
        idempotency_key: str | None = None,
    ) -> RunStream:
        """Start a run; return its events. Without `deltas`, leave out the pieces of responses."""
        new = runs.NewRun(input, agent, user_id, session_id, files, file_ids, idempotency_key)
        return self.follow(self.transport.run(runs.start_id(new)), deltas=deltas)

    def follow(self, run_id: str, *, after: int = 0, deltas: bool = True) -> RunStream:
        """Return the events of the run after a sequence, until the run ends."""
        return RunStream(self, Cursor(run_id, after, has_deltas=deltas))

    def events(self, run_id: str, *, after: int = 0, deltas: bool = True) -> Iterator[Event]:
        """Yield the events that the log has now. `follow` also waits for later ones."""
        return self.transport.iterate(runs.list_events(run_id, after, has_deltas=deltas))

    def get(self, run_id: str) -> Run:
        """Return the run."""
        return self.transport.run(runs.get(run_id))

    def list(
        self,
        *,
        status: Sequence[str] | None = None,
        agent: str | None = None,
        user_id: str | None = None,
        session_id: str | None = None,
        started_after: str | None = None,
        started_before: str | None = None,
        ended_after: str | None = None,
        sort: str | None = None,
        page_size: int | None = None,
    ) -> Iterator[Run]:
        """Yield the runs that match all filters, newest first. Times are RFC 3339."""
        query = runs.list_query(
            status=status,
            agent=agent,
            user_id=user_id,
            session_id=session_id,
            started_after=started_after,
            started_before=started_before,
            ended_after=ended_after,
            sort=sort,
            page_size=page_size,
        )
        return self.transport.iterate(runs.list_runs(query))

    @overload
    def result(self, run_id: str, *, timeout: float | None = None) -> dict[str, Any]: ...
    @overload
    def result(self, run_id: str, *, timeout: float | None = None, output: type[M]) -> M: ...
    def result(
        self, run_id: str, *, timeout: float | None = None, output: type[Any] | None = None
    ) -> Any:
        """Return the output of the run when it has ended; as an `output`, a pydantic model.

        Raise RunFailed, RunCanceled, or RunWaits if it waits for a person. Raise Timeout after
        `timeout` seconds; the run continues.
        """
        return to_model(self.transport.run(runs.result(run_id, timeout)), output)

    def cancel(self, run_id: str) -> None:
        """Cancel the run. An ended run is not changed."""
        self.transport.run(runs.cancel(run_id))

    def delete(self, run_id: str) -> None:
        """Delete an ended run permanently."""
        self.transport.run(runs.delete(run_id))

    def export(self, run_id: str) -> Iterator[bytes]:
        """Yield the lines of the run's export: all that is stored about it, as JSON."""
        return self.transport.iterate(runs.export(run_id))

    def input(self, run_id: str, type: str, data: Mapping[str, Any]) -> None:
        """Answer an input request with a body of the API."""
        self.transport.run(runs.send_input(run_id, type, data))

    def answer(self, run_id: str, feedback: Any, *, request_id: str | None = None) -> None:
        """Answer the input request `request_id`, or the only open one."""
        data = {"feedback": feedback}
        self.transport.run(runs.answer(run_id, "human_feedback", request_id, data))

    def decline(self, run_id: str, *, request_id: str | None = None) -> None:
        """Decline to answer an input request. The agent continues without the answer."""
        self.transport.run(runs.answer(run_id, "human_feedback", request_id, {"declined": True}))

    def approve(
        self,
        run_id: str,
        *,
        params: Mapping[str, Any] | None = None,
        feedback: str | None = None,
        request_id: str | None = None,
    ) -> None:
        """Approve the call of `request_id`, or of the only open request, with changed params."""
        data = runs.approval(True, feedback, params)
        self.transport.run(runs.answer(run_id, "approval_request", request_id, data))

    def refuse(
        self, run_id: str, reason: str | None = None, *, request_id: str | None = None
    ) -> None:
        """Deny the call of `request_id`, or of the only open request."""
        data = runs.approval(False, reason, None)
        self.transport.run(runs.answer(run_id, "approval_request", request_id, data))
