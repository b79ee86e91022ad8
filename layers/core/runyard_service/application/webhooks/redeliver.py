"""Send to a webhook on request: a ping, or a redelivery."""

from collections.abc import Iterator

from runyard_service.adapters.sqs import DeliveryMessage, DeliveryQueue
from runyard_service.adapters.stores import Stores
from runyard_service.domain.notifications import ping
from runyard_service.domain.request_errors import ConflictError
from runyard_service.domain.webhooks import Delivery, Webhook


def send_ping(stores: Stores, queue: DeliveryQueue, webhook: Webhook) -> Delivery:
    """Send a ping, whatever the event filter of the endpoint; the delivery shows the result.

    Raise ConflictError if the endpoint is disabled.
    """
    _check_enabled(webhook)
    delivery = Delivery.create(ping(webhook.org_id, webhook.project_id, webhook.id), webhook)
    stores.webhook_deliveries.create_if_absent(delivery)
    queue.send([delivery])
    return delivery


def redeliver(
    stores: Stores, queue: DeliveryQueue, webhook: Webhook, delivery: Delivery
) -> Delivery:
    """Start a new round of a delivery, with the same body and `webhook-id` and all attempts.

    Raise ConflictError if the endpoint is disabled, or if the delivery changes concurrently.
    """
    _check_enabled(webhook)
    redelivery = delivery.for_redelivery()
    if not stores.webhook_deliveries.change(delivery, redelivery):
        raise ConflictError({"delivery": "was modified concurrently; retry"})
    queue.send([redelivery])
    return redelivery


def list_dead_letters(
    stores: Stores, queue: DeliveryQueue
) -> Iterator[tuple[DeliveryMessage, Delivery | None]]:
    """Yield each message of the dead-letter queue with its delivery, None if it is deleted."""
    for text, _ in queue.dead_letters.messages():
        message = DeliveryMessage.from_text(text)
        yield message, stores.webhook_deliveries.get(message.webhook_id, message.delivery_id)


def redeliver_dead_letters(
    stores: Stores, queue: DeliveryQueue, *, delete_disabled: bool = False
) -> Iterator[tuple[DeliveryMessage, str]]:
    """Redeliver each delivery in the dead-letter queue; yield its message and what happened.

    Delete the message, unless the delivery changes concurrently or the webhook is disabled. With
    `delete_disabled`, delete the message of a disabled webhook too, without a redelivery.
    """
    for text, receipt in queue.dead_letters.messages():
        message = DeliveryMessage.from_text(text)
        webhook = stores.webhooks.get(message.project_id, message.webhook_id)
        delivery = stores.webhook_deliveries.get(message.webhook_id, message.delivery_id)
        if webhook is None or delivery is None:
            outcome = "does not exist any more"
        elif (delivery.state, delivery.round) != ("failed", message.round):
            outcome = "was already sent again"
        elif delete_disabled and not webhook.enabled:
            outcome = "is deleted: the webhook is disabled"
        else:
            try:
                redeliver(stores, queue, webhook, delivery)
                outcome = "is sent again"
            except ConflictError as error:
                reasons = " ".join(f"the {field} {why}" for field, why in error.details.items())
                yield message, f"stays in the queue: {reasons}"
                continue
        queue.dead_letters.delete(receipt)
        yield message, outcome


def _check_enabled(webhook: Webhook) -> None:
    if not webhook.enabled:
        raise ConflictError({"webhook": "is disabled"})
