"""Fails a run whose execution has ended without it.

Invoked by the state machine's catch, and by EventBridge when an execution failed, timed out or was
aborted outside its own catch.
"""

import json
from typing import TYPE_CHECKING, Any

from runyard_service.application.runs.close_run import close_run
from runyard_service.container import container
from runyard_service.domain.runs import Execution
from runyard_service.observability import log_context
from runyard_service.observability.logging import configure_observability, logger, observe

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

configure_observability()

_ERROR_OF_STATUS = {"TIMED_OUT": "ExecutionTimedOut", "ABORTED": "ExecutionAborted"}


@observe
def lambda_handler(event: dict[str, Any], context: "LambdaContext") -> None:
    """Take `{run_id, execution, error: {Error, Cause}}`, or an execution's status change."""
    cause = ""
    if "detail" in event:
        detail = event["detail"]
        run_id, name = json.loads(detail["input"])["run_id"], detail["name"]
        error = _ERROR_OF_STATUS.get(detail["status"], "ExecutionFailed")
    else:
        run_id, name = event["run_id"], event["execution"]
        error, cause = (event.get("error", {}).get(name, "") for name in ("Error", "Cause"))
    log_context.bind(run_id=run_id)
    logger.warning("run closed from outside", extra={"error": error})
    execution, stores = Execution.parse(name, run_id), container().stores
    close_run(stores, execution, error, cause, context.aws_request_id)
