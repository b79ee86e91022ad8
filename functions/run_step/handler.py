"""Carries a run on for as long as one invocation may last. Invoked by the state machine."""

from typing import TYPE_CHECKING, Any

from runyard.bootstrap import run_async, worker
from runyard.engine.advance_run import advance_run
from runyard.observability import logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, str], context: "LambdaContext") -> dict[str, Any]:
    """Take `{run_id}`; give `{run_id, outcome: more | needs_input | finished, wait_seconds}`.

    And `{limit, limit_at}`: the limit that a person is to be asked to raise, if it is one, and the
    event behind which a person turned out to be needed.
    """
    run_id = event["run_id"]
    logger.append_keys(run_id=run_id)
    seconds = context.get_remaining_time_in_millis() / 1000
    advance = run_async(advance_run(worker(), run_id, seconds))
    return {
        "run_id": run_id,
        "outcome": advance.outcome,
        "wait_seconds": advance.wait_seconds,
        "limit": advance.limit,
        "limit_at": advance.limit_at,
    }
