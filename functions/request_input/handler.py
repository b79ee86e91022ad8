"""Publishes the input requests of a run with the task token that resumes it.

Invoked by the state machine, which then waits for the token and not for this function.
"""

from typing import TYPE_CHECKING, Any

from runyard_service.application.input_requests.request_input import request_input
from runyard_service.container import container
from runyard_service.domain.runs import Execution
from runyard_service.observability import log_context
from runyard_service.observability.logging import configure_observability, observe

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

configure_observability()


@observe
def lambda_handler(event: dict[str, Any], context: "LambdaContext") -> None:
    """Take `{run_id, execution, task_token, limit, last_sequence}`.

    Where there is nothing to wait for, end the wait.
    """
    log_context.bind(run_id=event["run_id"])
    execution, token = Execution.parse(event["execution"], event["run_id"]), event["task_token"]
    if not request_input(
        container().stores, execution, token, event["limit"], event["last_sequence"]
    ):
        container().next_execution_starter().resume(token)
