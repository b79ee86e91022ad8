"""End a run that nobody can carry on: its execution failed, timed out, or was aborted."""

import json
import logging

from runyard.domain.errors import AppendConflictError, NotFoundError, SupersededError
from runyard.engine.journal import Journal
from runyard.store.stores import Stores

_log = logging.getLogger(__name__)

_ATTEMPTS = 20

_MODEL_UNAVAILABLE = "ModelUnavailableError"
# What the state machine says of a failure, as the run's error code and in words for its reader.
_KNOWN = {
    _MODEL_UNAVAILABLE: ("model_unavailable", "The model could not be reached."),
    "States.Timeout": ("timed_out", "The run was not carried on in time."),
    "ExecutionTimedOut": ("timed_out", "The run was not carried on in time."),
    "ExecutionAborted": ("aborted", "The run's execution was stopped by hand."),
}
_UNKNOWN = ("internal_error", "The run could not be carried on.")


def close_run(
    stores: Stores, run_id: str, error_name: str, *, execution: str = "", cause: str = ""
) -> None:
    """Fail the run for the error that the state machine names; an ended run stays as it is.

    So does one that goes on in another execution than `execution`: what is told of an old one may
    come late, and twice. A run that was deleted has nothing that could be closed.
    """
    try:
        journal = Journal.open(stores, run_id)
    except NotFoundError:
        # It was deleted, and its execution has waited on: there is nothing to close.
        _log.warning("no run to close", extra={"run_id": run_id})
        return
    code, message = _KNOWN.get(error_name, _UNKNOWN)
    if error_name == _MODEL_UNAVAILABLE:
        message = _said(cause) or message
    for _ in range(_ATTEMPTS):
        if journal.history.has_ended or _is_carried_by_another(journal, execution):
            return
        try:
            journal.fail(code, message)
            stores.spending.release(run_id)
            return
        except AppendConflictError:
            continue
    raise SupersededError(run_id)


def _is_carried_by_another(journal: Journal, execution: str) -> bool:
    run = journal.stores.runs.record(journal.run.id)
    return run is None or (bool(execution) and run.execution_name != execution)


def _said(cause: str) -> str:
    """The message of a function's own error, which Step Functions gives as Lambda told it.

    Only for an error whose message is made of our words: others may quote anything.
    """
    try:
        message = json.loads(cause)["errorMessage"]
    except (ValueError, TypeError, KeyError):
        return ""
    return message if isinstance(message, str) else ""
