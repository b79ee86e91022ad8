"""Trigger the webhook deliveries whose long pause is over: the sweep sends their messages.

After a crash between the two actions, the next sweep sends the messages again. The first attempt
that is recorded makes the other messages of the delivery harmless.
"""

from runyard_service.adapters.sqs import DeliveryQueue
from runyard_service.adapters.stores import Stores

# At most this number in one sweep: about 20 s. The next sweep continues.
MAX_TRIGGERED = 1000


def trigger_due_deliveries(stores: Stores, queue: DeliveryQueue) -> int:
    """Send the message of each delivery that is due. Return how many."""
    due = stores.webhook_deliveries.due(MAX_TRIGGERED)
    queue.send(due)
    for delivery in due:
        stores.webhook_deliveries.postpone_trigger(delivery)
    return len(due)
