"""End a run that cannot continue: its execution failed, timed out, or was aborted."""

import json
import logging

from runyard_service.adapters.conflict_retry import CLOSE_RUN_ATTEMPTS, retry_on_conflict
from runyard_service.adapters.stores import Stores
from runyard_service.application.runs.journal import Journal
from runyard_service.domain.errors import AppendConflictError, SupersededError
from runyard_service.domain.provider_failures import decode_cause
from runyard_service.domain.request_errors import NotFoundError
from runyard_service.domain.runs import Execution

_log = logging.getLogger(__name__)

_MODEL_UNAVAILABLE = "ModelUnavailableError"
_TOOLS_UNAVAILABLE = "ToolsUnavailableError"
_FUNCTION_UNAVAILABLE = "FunctionUnavailableError"
# Error names of the state machine: error code and message of the run.
_KNOWN = {
    _MODEL_UNAVAILABLE: ("model_unavailable", "The model could not be reached."),
    _TOOLS_UNAVAILABLE: ("tools_unavailable", "The tools of an MCP server could not be listed."),
    _FUNCTION_UNAVAILABLE: ("agent_error", "The agent's function could not be invoked."),
    "States.Timeout": ("timed_out", "The run timed out."),
    "ExecutionTimedOut": ("timed_out", "The run timed out."),
    "ExecutionAborted": ("aborted", "The execution of the run was stopped manually."),
}
_UNKNOWN = ("internal_error", "The run stopped because of an internal error.")


def close_run(
    stores: Stores, execution: Execution, error_name: str, cause: str = "", request_id: str = ""
) -> None:
    """Fail the run with the error that ended its execution.

    An internal error has an `error_id`: the request id of the invocation that failed, which finds
    its traceback in the log. If it is unknown, it is `request_id`, that of the closing invocation.

    Change nothing if the run has ended, is deleted, or continues in a later execution: the message
    about an old execution can be late or duplicate.
    """
    run_id = execution.run_id
    try:
        journal = Journal.open(stores, run_id)
    except NotFoundError:
        # The run was deleted while its execution waited.
        _log.warning("no run to close", extra={"run_id": run_id})
        return
    code, message = _KNOWN.get(error_name, _UNKNOWN)
    provider, error_id = None, ""
    if error_name == _MODEL_UNAVAILABLE and (text := _field(cause, "errorMessage")):
        message, provider = decode_cause(text)
    if error_name in (_TOOLS_UNAVAILABLE, _FUNCTION_UNAVAILABLE):
        message = _field(cause, "errorMessage") or message
    if code == "internal_error":
        error_id = _field(cause, "requestId") or request_id
    for attempt in retry_on_conflict(CLOSE_RUN_ATTEMPTS, AppendConflictError):
        if journal.history.has_ended or _has_newer_execution(journal, execution):
            return
        with attempt:
            journal.fail(code, message, provider, error_id)
            stores.spending.release(run_id)
            if error_id:
                ids = {"run_id": run_id, "error_id": error_id}
                _log.error("run failed by an internal error", extra={"error": error_name, **ids})
            return
    raise SupersededError(run_id)


def _has_newer_execution(journal: Journal, execution: Execution) -> bool:
    run = journal.stores.runs.get(execution.run_id)
    # An execution later than the recorded one failed before it was recorded: it is the newest.
    return run is None or run.current_execution > execution


def _field(cause: str, name: str) -> str:
    """Return a field of a function's error from the cause that Step Functions reports, or "".

    Use `errorMessage` only if Runyard writes the message: others can contain any content.
    """
    try:
        value = json.loads(cause)[name]
    except (ValueError, TypeError, KeyError):
        return ""
    return value if isinstance(value, str) else ""
