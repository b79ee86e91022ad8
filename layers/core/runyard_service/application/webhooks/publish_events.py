"""Publish events of runs on the event bus and to the webhooks of the project; count ended runs.

The events come from the DynamoDB stream of the log, so only recorded events are published, and
every recorded event is published. A record can come twice: its event goes to the bus again, with
the same `event_id`. Its webhook delivery has the same id, and is not sent again after an attempt.
A run that has ended is added to the usage of its project once.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from runyard_service.adapters.dynamodb.event_log import lines_of
from runyard_service.adapters.eventbridge import EventBus
from runyard_service.adapters.sqs import DeliveryQueue
from runyard_service.adapters.stores import Stores
from runyard_service.adapters.stream_records import item_of
from runyard_service.domain.errors import RetryableError
from runyard_service.domain.events import LIFECYCLE_TYPES, TERMINAL_TYPES, event_type_of
from runyard_service.domain.notifications import notification_for
from runyard_service.domain.runs import Run
from runyard_service.domain.webhooks import Delivery, Webhook
from runyard_service.observability import metrics

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Publisher:
    """Dependencies of event publishing."""

    stores: Stores
    bus: EventBus
    queue: DeliveryQueue


@dataclass
class _InvocationCache:
    """The runs and webhooks that one invocation has read, at most once each."""

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
    """Publish the events in records of the stream of the log, in order, and count ended runs.

    Return the sequence number of the first record that failed, from which the stream must retry;
    None if all records succeeded.
    """
    records = list(records)
    uncounted = _count_ended_runs(publisher.stores, records)
    cache = _InvocationCache(publisher.stores)
    for record in records[:uncounted]:
        change = record["dynamodb"]
        try:
            _publish(publisher, cache, change.get("NewImage") or {})
        except RetryableError:
            _log.exception(
                "publishing events failed", extra={"stream_record": change["SequenceNumber"]}
            )
            return str(change["SequenceNumber"])
    return None if uncounted is None else str(records[uncounted]["dynamodb"]["SequenceNumber"])


def _count_ended_runs(stores: Stores, records: Sequence[Mapping[str, Any]]) -> int | None:
    """Count the runs that ended in these records.

    Return the index of the first record with an ended run if they cannot be counted now.
    """
    ended: dict[str, int] = {}
    for index, record in enumerate(records):
        item = item_of(record["dynamodb"].get("NewImage") or {})
        if item.get("publish") and event_type_of(lines_of(item)[-1]) in TERMINAL_TYPES:
            ended.setdefault(item["run_id"], index)
    try:
        stores.usage_counters.add(ended)
    except RetryableError:
        _log.exception("counting usage failed", extra={"runs": len(ended)})
        return min(ended.values())
    return None


def _publish(publisher: Publisher, cache: _InvocationCache, image: Mapping[str, Any]) -> None:
    item = item_of(image)
    if not item.get("publish"):
        return  # The filter of the mapping excludes these; a manual replay may not.
    run = cache.run(item["run_id"])
    if run is None:
        return  # The run was deleted: there is nothing to publish.
    batch = publisher.stores.log.batch_of(item)
    events = [event for event in batch.events() if event.type in LIFECYCLE_TYPES]
    notifications = [notification_for(event, run) for event in events]
    publisher.bus.publish(notifications)
    metrics.record("events published", {metrics.EVENTS_PUBLISHED: len(notifications)})
    deliveries = [
        Delivery.create(notification, webhook)
        for notification in notifications
        for webhook in cache.of_project(run.project_id)
        if webhook.subscribes_to(notification.type)
    ]
    stored = [
        publisher.stores.webhook_deliveries.create_if_absent(delivery) for delivery in deliveries
    ]
    # A record can come again: a delivery with an attempt already has its message.
    publisher.queue.send([delivery for delivery in stored if _is_unattempted(delivery)])


def _is_unattempted(delivery: Delivery) -> bool:
    return delivery.state == "pending" and delivery.round == 0 and delivery.attempt_count == 0
