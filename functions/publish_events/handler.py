"""Publishes events of runs to the event bus and webhooks. Invoked by the stream of the log."""

from typing import TYPE_CHECKING, Any

from runyard_service.application.webhooks.publish_events import publish_events
from runyard_service.container import container
from runyard_service.observability.logging import configure_observability, observe

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

configure_observability()


@observe
def lambda_handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Publish a batch of the stream. Return the first failed record, if any."""
    failed = publish_events(container().publisher, event["Records"])
    return {"batchItemFailures": [{"itemIdentifier": failed}] if failed else []}
