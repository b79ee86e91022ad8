"""Start a run: record it, then start the execution that carries it.

Once recorded, a run is accepted: should the execution fail to start, the sweep starts it. A run in
a thread is recorded together with the thread's own record, which knows one run at a time.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from runyard_service.adapters.conflict_retry import START_RUN_IN_THREAD_ATTEMPTS, retry_on_conflict
from runyard_service.adapters.dynamodb.attributes import ConditionFailedError, TransactWriteItem
from runyard_service.adapters.dynamodb.files import NewFile
from runyard_service.adapters.step_functions import Orchestrator
from runyard_service.adapters.stores import Stores
from runyard_service.agents.definitions.models import Snapshot
from runyard_service.agents.definitions.schemas import validate
from runyard_service.domain.clock import timestamp
from runyard_service.domain.errors import (
    ConflictError,
    InvalidRequestError,
    RetryableError,
    RunLimitError,
    ThreadBusyError,
    ThreadNotFoundError,
    UnavailableError,
)
from runyard_service.domain.ids import derived_id, new_id
from runyard_service.domain.runs import Author, Execution, Run
from runyard_service.observability import metrics
from runyard_service.observability.event_metrics import agent_key

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class NewRun:
    """What a caller asks for, and on whose behalf.

    The agent gets the files that are named by `file_ids`, and those that come with the request. In
    a thread it gets the thread's messages, and no `input`. With a `run_id`, asking again for the
    same run starts nothing new; `idempotency_digest` is the record that says so.
    """

    org_id: str
    project_id: str
    input: Mapping[str, Any] = field(default_factory=dict)
    thread_id: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    file_ids: Sequence[str] = ()
    uploads: Sequence[NewFile] = ()
    run_id: str | None = None
    idempotency_digest: str = ""
    author: Author | None = None
    trace_id: str = ""
    max_active_runs: int = 0
    """How many runs of the project may be at work at once; 0: any number."""
    max_org_active_runs: int = 0
    """The same for all projects of the organization together."""


def start_run(
    stores: Stores, orchestrator: Orchestrator, snapshot: Snapshot, request: NewRun
) -> Run:
    """Record a run of this agent and set it going; one that is recorded already is set going.

    Raises InvalidRequestError, and leaves nothing behind, where the input does not fit the agent or
    the project does not have a file; RunLimitError where the runs at work are too many;
    ThreadNotFoundError and ThreadBusyError.
    """
    if request.run_id and (found := stores.runs.get(request.run_id)):
        return _start_execution(orchestrator, found)
    if request.thread_id is None:
        faults = validate(snapshot.definition.input_schema, request.input, under="input")
        if faults:
            raise InvalidRequestError(faults)
    _check_limits(stores, request)
    # Resolve the files last: no run would use uploads that are stored for a rejected request.
    files = stores.files.resolve(request.project_id, request.file_ids, request.uploads)
    digest = stores.definitions.save(snapshot.stored())
    run = _new_run(snapshot, request, digest, files.ids)
    try:
        run = _create_run(stores, run, files.changes)
        _measure(run)
    except ConflictError:
        # A twin of this call was first.
        twin = stores.runs.get(run.id)
        if twin is None:
            raise
        run = twin
    return _start_execution(orchestrator, run)


def _measure(run: Run) -> None:
    metrics.record(
        "run accepted",
        {metrics.RUNS_ACCEPTED: 1},
        {"Agent": agent_key(run)},
        run_id=run.id,
        project_id=run.project_id,
    )


def _check_limits(stores: Stores, wanted: NewRun) -> None:
    live, most = stores.live_runs, wanted.max_active_runs
    if not live.project_has_capacity(wanted.project_id, most):
        raise RunLimitError({"project": f"already has {most} active runs"})
    projects = partial(stores.access_keys.projects_of, wanted.org_id)
    most = wanted.max_org_active_runs
    if not live.organization_admits(wanted.org_id, projects, most):
        raise RunLimitError({"organization": f"already has {most} active runs"})


def _new_run(snapshot: Snapshot, wanted: NewRun, digest: str, file_ids: tuple[str, ...]) -> Run:
    return Run(
        id=wanted.run_id or new_id(),
        project_id=wanted.project_id,
        org_id=wanted.org_id,
        app_id=derived_id("app", wanted.project_id, snapshot.definition.key),
        agent=snapshot.name,
        definition_digest=digest,
        input=wanted.input,
        user_id=wanted.user_id,
        session_id=wanted.session_id,
        file_ids=file_ids,
        thread_id=wanted.thread_id,
        route_id=snapshot.route_id,
        model=snapshot.route.model_name,
        trace_id=wanted.trace_id,
        idempotency_digest=wanted.idempotency_digest,
        created_by=wanted.author,
        started_at=timestamp(),
    )


def _create_run(stores: Stores, run: Run, file_changes: Sequence[TransactWriteItem]) -> Run:
    """Keep the run; in a thread, as the one that answers all messages that are there now."""
    if run.thread_id is None:
        try:
            stores.runs.create(run, file_changes)
        except ConditionFailedError as error:
            # With the last run that used it, since it was looked at.
            raise InvalidRequestError({"file_ids": "refers to a deleted file"}) from error
        return run
    for attempt in retry_on_conflict(START_RUN_IN_THREAD_ATTEMPTS):
        thread = stores.threads.get(run.thread_id)
        if thread is None or thread.project_id != run.project_id:
            raise ThreadNotFoundError
        if thread.active_run_id == run.id:
            raise ConflictError({"id": "already exists"})
        if thread.active_run_id is not None:
            raise ThreadBusyError({"thread": f"has an active run: {thread.active_run_id}"})
        placed = run.model_copy(
            update={"thread_messages": thread.messages, "started_at": timestamp()}
        )
        with attempt:
            stores.runs.create(placed, stores.threads.start_run_changes(thread, placed))
            return placed
    raise UnavailableError({"thread": "is being modified concurrently; retry"})


def _start_execution(orchestrator: Orchestrator, run: Run) -> Run:
    """Start the run's first execution, once whatever the number of calls."""
    if run.status == "created":
        try:
            orchestrator.start(Execution(run.id))
        except RetryableError:
            _log.exception(
                "execution not started; the sweep will start it", extra={"run_id": run.id}
            )
    return run
