"""Tell of a run's events: on the event bus, and to the webhooks of its project.

What is told comes from the log itself, by its table's stream, so nothing can be told that is not
recorded, and nothing recorded be forgotten. A record may come twice: what is on the bus already is
put there again, under the same `event_id`; a delivery is the same one, and if it was made it is not
made again.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from runyard_service.adapters.eventbridge import EventBus
from runyard_service.adapters.sqs import DeliveryQueue
from runyard_service.adapters.stores import Stores
from runyard_service.adapters.stream_records import item_of
from runyard_service.domain.errors import RetryableError
from runyard_service.domain.events import LIFECYCLE_TYPES
from runyard_service.domain.notifications import notification_for
from runyard_service.domain.runs import Run
from runyard_service.domain.webhooks import Delivery, Webhook

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Publisher:
    """What telling of events needs."""

    stores: Stores
    bus: EventBus
    queue: DeliveryQueue


@dataclass
class _Seen:
    """What one invocation has read of runs and webhooks: asked for once, however many records."""

    stores: Stores
    runs: dict[str, Run | None] = field(default_factory=dict)
    webhooks: dict[str, list[Webhook]] = field(default_factory=dict)

    def run(self, run_id: str) -> Run | None:
        if run_id not in self.runs:
            self.runs[run_id] = self.stores.runs.get(run_id)
        return self.runs[run_id]

    def of_project(self, project_id: str) -> list[Webhook]:
        if project_id not in self.webhooks:
            self.webhooks[project_id] = self.stores.webhooks.of_project(project_id)
        return self.webhooks[project_id]


def publish_events(publisher: Publisher, records: Iterable[Mapping[str, Any]]) -> str | None:
    """Tell of the events in records of the log's stream, in their order.

    Gives the sequence number of the first record that could not be told of, from which the stream
    has to go on; None where all were.
    """
    seen = _Seen(publisher.stores)
    for record in records:
        change = record["dynamodb"]
        try:
            _publish(publisher, seen, change.get("NewImage") or {})
        except RetryableError:
            _log.exception(
                "publishing events failed", extra={"stream_record": change["SequenceNumber"]}
            )
            return str(change["SequenceNumber"])
    return None


def _publish(publisher: Publisher, seen: _Seen, image: Mapping[str, Any]) -> None:
    item = item_of(image)
    if not item.get("publish"):
        return  # The mapping's filter keeps these away; a replay by hand may not.
    run = seen.run(item["run_id"])
    if run is None:
        return  # Deleted meanwhile, and with it whatever could be told.
    batch = publisher.stores.log.batch_of(item)
    events = [event for event in batch.events() if event.type in LIFECYCLE_TYPES]
    notices = [notification_for(event, run) for event in events]
    publisher.bus.publish(notices)
    wanted = [
        Delivery.create(notice, webhook)
        for notice in notices
        for webhook in seen.of_project(run.project_id)
        if webhook.subscribes_to(notice.type)
    ]
    kept = [publisher.stores.webhook_deliveries.create_if_absent(delivery) for delivery in wanted]
    # Of a record that comes again: what has been tried is on its way, or there.
    publisher.queue.send([delivery for delivery in kept if _is_untouched(delivery)])


def _is_untouched(delivery: Delivery) -> bool:
    return delivery.state == "pending" and delivery.round == 0 and delivery.attempt_count == 0
