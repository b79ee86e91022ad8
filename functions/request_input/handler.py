"""Publishes a run's questions with the task token that an answer resumes it by.

Invoked by the state machine, which then waits for the token and not for this function.
"""

from typing import TYPE_CHECKING, Any

from runyard.bootstrap import connect
from runyard.engine.request_input import request_input
from runyard.observability import invocation
from runyard.telemetry import working_on

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@invocation
def lambda_handler(event: dict[str, Any], context: "LambdaContext") -> None:
    """Take `{run_id, task_token, limit, limit_at}`.

    AlreadyAnsweredError sends the machine on without a wait.
    """
    working_on.add(run_id=event["run_id"])
    # An execution of an older release knows nothing of limits.
    limit, limit_at = event.get("limit", ""), event.get("limit_at", 0)
    request_input(connect(), event["run_id"], event["task_token"], limit, limit_at)
