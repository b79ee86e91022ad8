"""Takes up the runs that nobody is at work on. Invoked every five minutes."""

from typing import TYPE_CHECKING, Any

from runyard.bootstrap import connect, orchestrator
from runyard.engine.sweep_runs import sweep_runs
from runyard.observability import invocation, logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@invocation
def lambda_handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, int]:
    """Look at the runs whose time has come; `{everything: true}` means all live ones."""
    sweep = sweep_runs(connect(), orchestrator(), everything=bool(event.get("everything")))
    counts = {
        "checked": sweep.checked,
        "restarted": sweep.restarted,
        "resumed": sweep.resumed,
        "removed": sweep.removed,
        "unclear": len(sweep.unclear),
        "not_begun": len(sweep.not_begun),
    }
    logger.info("swept", extra=counts)
    return counts
