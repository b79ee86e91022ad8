"""Ends a run that nobody can carry on.

Invoked by the state machine's catch, and by EventBridge when an execution failed, timed out or was
aborted outside its own catch.
"""

import json
from typing import TYPE_CHECKING, Any

from runyard.bootstrap import connect
from runyard.engine.close_run import close_run
from runyard.observability import logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

_ERROR_OF_STATUS = {"TIMED_OUT": "ExecutionTimedOut", "ABORTED": "ExecutionAborted"}


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], context: "LambdaContext") -> None:
    """Take `{run_id, error: {Error, Cause}}`, or an execution's status change."""
    if "detail" in event:
        run_id = json.loads(event["detail"]["input"])["run_id"]
        error = _ERROR_OF_STATUS.get(event["detail"]["status"], "ExecutionFailed")
    else:
        run_id, error = event["run_id"], event.get("error", {}).get("Error", "")
    logger.append_keys(run_id=run_id)
    logger.warning("run closed from outside", extra={"error": error})
    close_run(connect(), run_id, error)
