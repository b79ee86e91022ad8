"""Find orphaned runs and recover them.

An execution may be missing, or may have ended without ending its run. An answer may be recorded
without a resume. The time to answer may be over although no timer fired. The sweep detects all of
this in the record of the run, its log, and the state of its execution.
"""

import logging
from dataclasses import dataclass, field

from runyard_service.adapters.dynamodb.runs import TIMER_GRACE_SECONDS
from runyard_service.adapters.step_functions import (
    NOTHING_TO_WAIT_FOR,
    ExecutionState,
    Orchestrator,
    WaitSpec,
)
from runyard_service.adapters.stores import Stores
from runyard_service.application.runs.delete_run import delete_run
from runyard_service.application.runs.journal import Journal
from runyard_service.domain.clock import timestamp_in
from runyard_service.domain.errors import AppendConflictError, RetryableError
from runyard_service.domain.input_requests import InputRequest, seconds_left
from runyard_service.domain.request_errors import NotFoundError
from runyard_service.domain.runs import Execution
from runyard_service.observability import metrics

# The sweep fails a run after this number of executions that ended without progress.
MAX_LOST_EXECUTIONS = 10

_log = logging.getLogger(__name__)


@dataclass
class SweepResult:
    """The result of one sweep, in numbers of runs."""

    checked: int = 0
    restarted: int = 0
    resumed: int = 0
    removed: int = 0
    failed_checks: list[str] = field(default_factory=list)
    not_started: list[str] = field(default_factory=list)
    """Runs with an execution that no worker has started in time."""

    @property
    def orphaned(self) -> int:
        """Return the number of runs that had, or may have had, no worker."""
        return self.restarted + self.resumed + len(self.not_started) + len(self.failed_checks)


def sweep_runs(
    stores: Stores, orchestrator: Orchestrator, *, everything: bool = False
) -> SweepResult:
    """Check the runs that are due; with `everything`, all runs that have not ended."""
    sweep = SweepResult()
    for run_id in dict.fromkeys(stores.runs.due_for_check(None if everything else timestamp_in(0))):
        try:
            _check(stores, orchestrator, run_id, sweep, everything=everything)
        except (RetryableError, AppendConflictError, NotFoundError):
            # Another writer changed the run, or AWS is busy: the next sweep checks the run again.
            _log.warning("run not swept", extra={"run_id": run_id}, exc_info=True)
            sweep.failed_checks.append(run_id)
    counts = {metrics.RUNS_SWEPT: sweep.checked, metrics.RUNS_ORPHANED: sweep.orphaned}
    metrics.record("runs swept", counts)
    return sweep


def _check(
    stores: Stores, orchestrator: Orchestrator, run_id: str, sweep: SweepResult, *, everything: bool
) -> None:
    run = stores.runs.get(run_id)
    if run is None:
        if stores.deleted_runs.find(run_id) is not None:
            # Hidden but not removed: it was too early, or the deletion was interrupted.
            delete_run(stores, run_id)
            sweep.removed += 1
        return
    if run.has_ended:
        # Release its daily cap holds, in case the writer of the end crashed before the release.
        stores.spending.release(run_id)
        return
    sweep.checked += 1
    execution, state = _newest(orchestrator, run.current_execution)
    if state != "running":
        # Step Functions rejects the name of an ended execution; a missing name is free.
        replacement = execution.next if state == "ended" else execution
        _restart(Journal.open(stores, run_id), orchestrator, replacement, f"execution_{state}")
        sweep.restarted += 1
    elif run.status == "paused" and execution == run.current_execution:
        _end_overdue_wait(Journal.open(stores, run_id), orchestrator, execution, sweep)
    else:
        if run.status == "created" and not everything:
            _log.warning("run has no worker yet", extra={"run_id": run_id})
            sweep.not_started.append(run_id)
        stores.runs.schedule_check(run)


def _newest(orchestrator: Orchestrator, execution: Execution) -> tuple[Execution, ExecutionState]:
    """Return the newest execution: the recorded one, or a later one that is not recorded yet."""
    state = orchestrator.state(execution)
    while state == "ended":
        following = orchestrator.state(execution.next)
        if following == "missing":
            break
        execution, state = execution.next, following
    return execution, state


def _restart(
    journal: Journal, orchestrator: Orchestrator, replacement: Execution, reason: str
) -> None:
    """Record the replacement of the lost execution and its reason, then start it."""
    if journal.history.has_ended:
        return
    run, stores = journal.run, journal.stores
    if journal.history.lost_executions >= MAX_LOST_EXECUTIONS:
        message = f"{MAX_LOST_EXECUTIONS} executions of the run ended without progress."
        journal.fail("worker_lost", message)
        stores.spending.release(run.id)
        return
    journal.append(
        [journal.recovered_event(reason)],
        [stores.runs.execution_change(run, replacement.number)],
    )
    is_waiting = journal.history.is_waiting
    wait = WaitSpec(_seconds_left(journal)) if is_waiting else NOTHING_TO_WAIT_FOR
    orchestrator.start(replacement, wait)


def _seconds_left(journal: Journal) -> float:
    """Return the seconds until the first wait of a run ends by itself; 0 if it does not wait."""
    history = journal.history
    if not history.is_waiting:
        return 0.0
    requests: list[InputRequest] = []
    if history.open_requests:
        requests = journal.stores.input_requests.open_of_run(journal.run.id)
    return min(seconds_left(requests), history.seconds_of_sleep)


def _end_overdue_wait(
    journal: Journal, orchestrator: Orchestrator, execution: Execution, sweep: SweepResult
) -> None:
    """End a wait that is over: all input requests are answered, or the time has passed.

    A late attempt of request_input can replace the token by one that no execution waits for. Then
    the first sweep has no effect, and the second sweep replaces the execution.
    """
    history, stores = journal.history, journal.stores
    if history.status != "paused":
        return
    left = _seconds_left(journal)
    is_overdue = left < -TIMER_GRACE_SECONDS
    token = stores.input_requests.token(journal.run.id)
    if token is not None and (is_overdue or not history.is_waiting):
        is_repeated = history.last_type == "run.recovered"
        if not is_repeated:
            reason = "wait_overdue" if is_overdue else "answer_not_resumed"
            journal.append([journal.recovered_event(reason)])
        if not orchestrator.resume(token) and is_repeated:
            _restart(journal, orchestrator, execution.next, "token_rejected")
            sweep.restarted += 1
            return
        sweep.resumed += 1
    stores.runs.schedule_check(journal.run, wait_seconds=left)
