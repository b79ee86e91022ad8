"""Carries a run on for as long as one invocation may last. Invoked by the state machine."""

import random
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from snapshot_restore_py import register_after_restore  # type: ignore[import-untyped]

from runyard import quick_imports
from runyard.bootstrap import preload_models, worker
from runyard.engine.advance_run import advance_run
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
    """Take `{run_id, execution, state}`, where `state` is what the last turn of it gave, if any.

    Give `{run_id, turns}` and what `Advance` says.
    """
    run_id = event["run_id"]
    working_on.add(run_id=run_id)
    seconds = context.get_remaining_time_in_millis() / 1000
    # An execution of an older release says neither its name nor its turns.
    execution, turns = event.get("execution", ""), event.get("state", {}).get("turns", 0)
    advance = run_async(advance_run(worker(), run_id, seconds, execution, turns))
    return {"run_id": run_id, "turns": turns + 1, **asdict(advance)}
