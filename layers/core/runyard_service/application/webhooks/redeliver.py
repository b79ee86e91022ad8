"""Send to a webhook by hand: a ping, or a delivery once more."""

from runyard_service.adapters.sqs import DeliveryQueue
from runyard_service.adapters.stores import Stores
from runyard_service.domain.errors import ConflictError
from runyard_service.domain.notifications import ping
from runyard_service.domain.webhooks import Delivery, Webhook


def send_ping(stores: Stores, queue: DeliveryQueue, webhook: Webhook) -> Delivery:
    """Deliver a notice of nothing, whatever the endpoint's filter; the log shows what came of it.

    Raises ConflictError where the endpoint is disabled.
    """
    _check_enabled(webhook)
    delivery = Delivery.create(ping(webhook.org_id, webhook.project_id, webhook.id), webhook)
    stores.webhook_deliveries.create_if_absent(delivery)
    queue.send([delivery])
    return delivery


def redeliver(
    stores: Stores, queue: DeliveryQueue, webhook: Webhook, delivery: Delivery
) -> Delivery:
    """Begin another round of a delivery: the same body and `webhook-id`, all attempts anew.

    Raises ConflictError where the endpoint is disabled, or where the delivery is just being tried.
    """
    _check_enabled(webhook)
    again = delivery.for_redelivery()
    if not stores.webhook_deliveries.change(delivery, again):
        raise ConflictError({"delivery": "was modified concurrently; retry"})
    queue.send([again])
    return again


def _check_enabled(webhook: Webhook) -> None:
    if not webhook.enabled:
        raise ConflictError({"webhook": "is disabled"})
