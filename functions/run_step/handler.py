"""Carries a run on for as long as one invocation may last. Invoked by the state machine."""

import random
from typing import TYPE_CHECKING, Any

from snapshot_restore_py import register_after_restore  # type: ignore[import-untyped]

from runyard import quick_imports
from runyard.bootstrap import going_on, preload_models, worker
from runyard.domain.runs import Execution
from runyard.engine.advance_run import advance_run
from runyard.engine.go_on import go_on
from runyard.event_loops import run_async
from runyard.observability import invocation
from runyard.telemetry import working_on

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

preload_models()
# Processes that start from one snapshot would all wait for the same random times.
register_after_restore(random.seed)
quick_imports.end()


@invocation
def lambda_handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Take `{run_id, execution, resume_machine}`, the last two of which are a name and an ARN.

    Give `{outcome}`, for whoever reads an execution's history.
    """
    working_on.add(run_id=event["run_id"])
    execution = Execution.named(event["execution"], event["run_id"])
    seconds = context.get_remaining_time_in_millis() / 1000
    advance = run_async(advance_run(worker(), execution, seconds))
    go_on(going_on(event["resume_machine"]), execution, advance)
    return {"outcome": advance.outcome}
