"""Find the runs that nobody is at work on, and take them up again.

An execution may never have started, may have vanished, or may have ended without ending its run; an
answer may have been recorded and the run not resumed. All of it shows in the run's record and in
the state of its execution.
"""

import logging
from dataclasses import dataclass, field

from runyard.domain.clock import stamp_in
from runyard.domain.errors import AppendConflictError, NotFoundError, RetryableError
from runyard.domain.events import Draft
from runyard.engine.journal import Journal
from runyard.engine.orchestrator import ExecutionState, Orchestrator
from runyard.store.stores import Stores

# Executions of one run that ended without ending it, before the run is given up.
MAX_EXECUTIONS = 10

_log = logging.getLogger(__name__)


@dataclass
class Sweep:
    """What one sweep found and did, in counts of runs."""

    checked: int = 0
    restarted: int = 0
    resumed: int = 0
    unclear: list[str] = field(default_factory=list)


def sweep_runs(stores: Stores, orchestrator: Orchestrator, *, everything: bool = False) -> Sweep:
    """Look at the runs whose time has come; `everything`: at all that have not ended."""
    sweep = Sweep()
    for run_id in dict.fromkeys(stores.runs.to_be_checked(None if everything else stamp_in(0))):
        try:
            _check(stores, orchestrator, run_id, sweep)
        except (RetryableError, AppendConflictError, NotFoundError):
            # Somebody is at work on it after all, or the platform is busy: the next sweep looks.
            _log.warning("run not swept", extra={"run_id": run_id}, exc_info=True)
            sweep.unclear.append(run_id)
    return sweep


def _check(stores: Stores, orchestrator: Orchestrator, run_id: str, sweep: Sweep) -> None:
    run = stores.runs.get(run_id)
    if run is None:
        return
    if run.has_ended:
        # What it still holds of a day's money was to be given back by whoever ended it.
        stores.spending.release(run_id)
        return
    sweep.checked += 1
    state = orchestrator.state(run)
    if state != "running":
        _restart(Journal.open(stores, run_id), orchestrator, state)
        sweep.restarted += 1
        return
    if run.status == "paused" and run.open_requests == 0:
        token = stores.input_requests.token(run_id)
        if token is not None:
            orchestrator.resume(token)
            sweep.resumed += 1
    stores.runs.checked(run)


def _restart(journal: Journal, orchestrator: Orchestrator, state: ExecutionState) -> None:
    """Record that another execution carries the run, then start it."""
    if journal.history.has_ended:
        return
    run, stores = journal.run, journal.stores
    if run.execution >= MAX_EXECUTIONS:
        journal.fail("worker_lost", "The run was taken up again and again, and never got further.")
        stores.spending.release(run.id)
        return
    # A name is used up once its execution has ended; one that never came to be is still free.
    execution = run.execution + 1 if state == "ended" else run.execution
    data = {
        "id": run.id,
        "reason": f"execution_{state}",
        "attempt": journal.history.recoveries + 1,
    }
    journal.append(
        [Draft(type="run.recovered", data=data)],
        [stores.runs.execution_change(run, execution)],
    )
    orchestrator.start(run.model_copy(update={"execution": execution}))
