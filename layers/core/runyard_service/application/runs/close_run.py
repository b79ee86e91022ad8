"""End a run that nobody can carry on: its execution failed, timed out, or was aborted."""

import json
import logging

from runyard_service.adapters.conflict_retry import CLOSE_RUN_ATTEMPTS, retry_on_conflict
from runyard_service.adapters.stores import Stores
from runyard_service.application.runs.journal import Journal
from runyard_service.domain.errors import NotFoundError, SupersededError
from runyard_service.domain.runs import Execution

_log = logging.getLogger(__name__)

_MODEL_UNAVAILABLE = "ModelUnavailableError"
# What the state machine says of a failure, as the run's error code and in words for its reader.
_KNOWN = {
    _MODEL_UNAVAILABLE: ("model_unavailable", "The model could not be reached."),
    "States.Timeout": ("timed_out", "The run timed out."),
    "ExecutionTimedOut": ("timed_out", "The run timed out."),
    "ExecutionAborted": ("aborted", "The execution of the run was stopped manually."),
}
_UNKNOWN = ("internal_error", "The run stopped because of an internal error.")


def close_run(stores: Stores, execution: Execution, error_name: str, cause: str = "") -> None:
    """Fail the run for the error that its execution ended with; an ended run stays as it is.

    So does one that goes on in a later execution: what is told of an old one may come late, and
    twice. A run that was deleted has nothing that could be closed.
    """
    run_id = execution.run_id
    try:
        journal = Journal.open(stores, run_id)
    except NotFoundError:
        # It was deleted, and its execution has waited on: there is nothing to close.
        _log.warning("no run to close", extra={"run_id": run_id})
        return
    code, message = _KNOWN.get(error_name, _UNKNOWN)
    if error_name == _MODEL_UNAVAILABLE:
        message = _error_message(cause) or message
    for attempt in retry_on_conflict(CLOSE_RUN_ATTEMPTS):
        if journal.history.has_ended or _has_newer_execution(journal, execution):
            return
        with attempt:
            journal.fail(code, message)
            stores.spending.release(run_id)
            return
    raise SupersededError(run_id)


def _has_newer_execution(journal: Journal, execution: Execution) -> bool:
    run = journal.stores.runs.get(execution.run_id)
    # One that is later than what is on record died before it could be recorded: nothing follows it.
    return run is None or run.current_execution > execution


def _error_message(cause: str) -> str:
    """The message of a function's own error, which Step Functions gives as Lambda told it.

    Only for an error whose message is made of our words: others may quote anything.
    """
    try:
        message = json.loads(cause)["errorMessage"]
    except (ValueError, TypeError, KeyError):
        return ""
    return message if isinstance(message, str) else ""
