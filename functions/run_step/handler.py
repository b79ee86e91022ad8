"""Advances a run until its invocation must end. Invoked by the state machine."""

import random
from typing import TYPE_CHECKING, Any

from snapshot_restore_py import register_after_restore  # type: ignore[import-untyped]

from runyard_service import cold_start
from runyard_service.application.runs.start_next_execution import start_next_execution
from runyard_service.application.steps.advance_run import advance_run
from runyard_service.container import container, preload_models
from runyard_service.domain.errors import ModelUnavailableError
from runyard_service.domain.provider_failures import encode_cause
from runyard_service.domain.runs import Execution
from runyard_service.event_loops import run_async
from runyard_service.observability import log_context
from runyard_service.observability.logging import configure_observability, observe

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

configure_observability()
preload_models()
# Processes that start from one snapshot would all wait for the same random times.
register_after_restore(random.seed)
cold_start.freeze_gc()


@observe
def lambda_handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Take `{run_id, execution, resume_state_machine}`: an id, a name and an ARN.

    Return `{outcome}`, for readers of the execution history.
    """
    log_context.bind(run_id=event["run_id"])
    execution = Execution.parse(event["execution"], event["run_id"])
    seconds = context.get_remaining_time_in_millis() / 1000
    try:
        advance = run_async(advance_run(container().worker, execution, seconds))
    except ModelUnavailableError as error:
        # Step Functions passes only the text of an error to close_run.
        raise ModelUnavailableError(encode_cause(str(error), error.provider)) from error
    starter = container().next_execution_starter(event["resume_state_machine"])
    start_next_execution(starter, execution, advance)
    return {"outcome": advance.outcome}
