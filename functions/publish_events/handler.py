"""Tells of a run's events, on the event bus and to webhooks. Invoked by the log's own stream."""

from typing import TYPE_CHECKING, Any

from runyard_service.application.webhooks.publish_events import publish_events
from runyard_service.container import container
from runyard_service.observability.logging import configure_observability, observe

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

configure_observability()


@observe
def lambda_handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Take a batch of the stream; give the record from which it must come again, if there is."""
    failed = publish_events(container().publisher, event["Records"])
    return {"batchItemFailures": [{"itemIdentifier": failed}] if failed else []}
