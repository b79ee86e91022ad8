"""Delivers to webhooks. Invoked by the queue of deliveries."""

from typing import TYPE_CHECKING, Any

from runyard_service.application.webhooks.deliver_webhook import deliver_batch
from runyard_service.container import container
from runyard_service.event_loops import run_async
from runyard_service.observability.logging import configure_observability, observe

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

configure_observability()


@observe
def lambda_handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Deliver a batch of the queue. Return the messages that SQS must deliver again."""
    failed = run_async(deliver_batch(container().webhook_sender, event["Records"]))
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}
