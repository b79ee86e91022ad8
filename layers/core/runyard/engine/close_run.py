"""End a run that nobody can carry on: its execution failed, timed out, or was aborted."""

from runyard.domain.errors import AppendConflictError, SupersededError
from runyard.engine.journal import Journal
from runyard.store.stores import Stores

_ATTEMPTS = 20

# What the state machine says of a failure, as the run's error code and in words for its reader.
_KNOWN = {
    "ModelUnavailableError": ("model_unavailable", "The model could not be reached."),
    "States.Timeout": ("timed_out", "The run was not carried on in time."),
    "ExecutionTimedOut": ("timed_out", "The run was not carried on in time."),
    "ExecutionAborted": ("aborted", "The run's execution was stopped by hand."),
}
_UNKNOWN = ("internal_error", "The run could not be carried on.")


def close_run(stores: Stores, run_id: str, error_name: str) -> None:
    """Fail the run for the error that the state machine names; an ended run stays as it is.

    Raises NotFoundError where there is no such run.
    """
    journal = Journal.open(stores, run_id)
    code, message = _KNOWN.get(error_name, _UNKNOWN)
    for _ in range(_ATTEMPTS):
        if journal.history.has_ended:
            return
        try:
            journal.fail(code, message)
            stores.spending.release(run_id)
            return
        except AppendConflictError:
            continue
    raise SupersededError(run_id)
