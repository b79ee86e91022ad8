"""Start a run: record it, then start its first execution.

A recorded run is accepted: if its execution fails to start, the sweep starts it. A transaction
records a run in a thread together with the record of the thread, which has one active run at a
time.
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
from runyard_service.agents.definitions.json_schema.validation import validate
from runyard_service.agents.definitions.models import Snapshot
from runyard_service.domain.clock import timestamp
from runyard_service.domain.errors import RetryableError
from runyard_service.domain.ids import derived_id, new_id
from runyard_service.domain.request_errors import (
    ConflictError,
    InvalidRequestError,
    RunLimitError,
    ThreadBusyError,
    ThreadNotFoundError,
    UnavailableError,
)
from runyard_service.domain.runs import Author, Execution, Run
from runyard_service.observability import metrics
from runyard_service.observability.event_metrics import agent_key

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class NewRun:
    """The request of a caller for a run.

    The agent receives the files `file_ids` and the `uploads` of the request. In a thread it
    receives the messages of the thread and no `input`. With a `run_id`, a repeated request starts
    no second run; `idempotency_digest` identifies its idempotency record.
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
    """The maximum number of active runs of a project without its own; 0: no maximum."""
    max_org_active_runs: int = 0
    """The maximum number of active runs in all projects of the organization; 0: no maximum."""


def start_run(
    stores: Stores, orchestrator: Orchestrator, snapshot: Snapshot, request: NewRun
) -> Run:
    """Record a run of this agent, unless it is recorded already, and start its execution.

    Store nothing and raise InvalidRequestError if the input does not match the agent or the project
    does not have a file. Raise RunLimitError if there are too many active runs;
    ThreadNotFoundError and ThreadBusyError for the thread.
    """
    if request.run_id and (recorded := stores.runs.get(request.run_id)):
        return _start_execution(orchestrator, recorded)
    if request.thread_id is None:
        issues = validate(snapshot.definition.input_schema, request.input, under="input")
        if issues:
            raise InvalidRequestError(issues)
    _check_limits(stores, request)
    # Resolve the files last: no run would use uploads that are stored for a rejected request.
    files = stores.files.resolve(request.project_id, request.file_ids, request.uploads)
    digest = stores.definitions.save(snapshot.to_stored())
    run = _new_run(snapshot, request, digest, files.ids)
    try:
        run = _create_run(stores, run, files.changes)
        _measure(run)
    except ConflictError:
        # A concurrent duplicate of this request was first.
        duplicate = stores.runs.get(run.id)
        if duplicate is None:
            raise
        run = duplicate
    return _start_execution(orchestrator, run)


def _measure(run: Run) -> None:
    metrics.record(
        "run accepted",
        {metrics.RUNS_ACCEPTED: 1},
        {"Agent": agent_key(run)},
        run_id=run.id,
        project_id=run.project_id,
    )


def _check_limits(stores: Stores, request: NewRun) -> None:
    active_runs, default = stores.active_runs, request.max_active_runs
    maximum = stores.project_limits.max_active_runs(request.project_id, default)
    if not active_runs.project_has_capacity(request.project_id, maximum):
        raise RunLimitError({"project": f"already has {maximum} active runs"})
    projects = partial(stores.access_keys.projects_of, request.org_id)
    maximum = request.max_org_active_runs
    if not active_runs.organization_has_capacity(request.org_id, projects, maximum):
        raise RunLimitError({"organization": f"already has {maximum} active runs"})


def _new_run(snapshot: Snapshot, request: NewRun, digest: str, file_ids: tuple[str, ...]) -> Run:
    return Run(
        id=request.run_id or new_id(),
        project_id=request.project_id,
        org_id=request.org_id,
        app_id=derived_id("app", request.project_id, snapshot.definition.key),
        agent=snapshot.name,
        definition_digest=digest,
        input=request.input,
        user_id=request.user_id,
        session_id=request.session_id,
        file_ids=file_ids,
        thread_id=request.thread_id,
        route_id=snapshot.route_id,
        model=snapshot.route.model_name,
        trace_id=request.trace_id,
        idempotency_digest=request.idempotency_digest,
        created_by=request.author,
        started_at=timestamp(),
    )


def _create_run(stores: Stores, run: Run, file_changes: Sequence[TransactWriteItem]) -> Run:
    """Store the run. In a thread, it answers all messages that the thread has now."""
    if run.thread_id is None:
        try:
            stores.runs.create(run, file_changes)
        except ConditionFailedError as error:
            # Deleted with the last run that used it, after the files were resolved.
            raise InvalidRequestError({"file_ids": "refers to a deleted file"}) from error
        return run
    for attempt in retry_on_conflict(START_RUN_IN_THREAD_ATTEMPTS, ConditionFailedError):
        thread = stores.threads.get(run.thread_id)
        if thread is None or thread.project_id != run.project_id:
            raise ThreadNotFoundError
        if thread.active_run_id == run.id:
            raise ConflictError({"id": "already exists"})
        if thread.active_run_id is not None:
            raise ThreadBusyError({"thread": f"has an active run: {thread.active_run_id}"})
        answering = run.model_copy(
            update={"thread_messages": thread.messages, "started_at": timestamp()}
        )
        with attempt:
            stores.runs.create(answering, stores.threads.start_run_changes(thread, answering))
            return answering
    raise UnavailableError({"thread": "is being modified concurrently; retry"})


def _start_execution(orchestrator: Orchestrator, run: Run) -> Run:
    """Start the first execution of the run. A repeated call starts no second execution."""
    if run.status == "created":
        try:
            orchestrator.start(Execution(run.id))
        except RetryableError:
            _log.exception(
                "execution not started; the sweep will start it", extra={"run_id": run.id}
            )
    return run
