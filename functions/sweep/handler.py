"""Recovers runs without a worker, triggers webhook deliveries, and deletes expired data.

Invoked every five minutes.
"""

from typing import TYPE_CHECKING, Any

from runyard_service.application.maintenance.sweep_runs import sweep_runs
from runyard_service.application.webhooks.trigger_deliveries import trigger_due_deliveries
from runyard_service.container import container
from runyard_service.observability.logging import configure_observability, logger, observe

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

configure_observability()

# Seconds that a started deletion may still need before the invocation ends.
RESERVE_SECONDS = 30


@observe
def lambda_handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, int]:
    """Look at the runs whose time has come; `{everything: true}` means all live ones."""
    parts = container()
    sweep = sweep_runs(parts.stores, parts.orchestrator, everything=bool(event.get("everything")))
    seconds = context.get_remaining_time_in_millis() / 1000 - RESERVE_SECONDS
    counts = {
        "checked": sweep.checked,
        "restarted": sweep.restarted,
        "resumed": sweep.resumed,
        "removed": sweep.removed,
        "unclear": len(sweep.failed_checks),
        "not_started": len(sweep.not_started),
        "deliveries": trigger_due_deliveries(parts.stores, parts.delivery_queue),
        "expired": parts.retention.enforce(seconds),
    }
    logger.info("swept", extra=counts)
    return counts
