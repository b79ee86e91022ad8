"""Queues of `template.yaml`, and the mappings by which Lambda takes events from a source."""

import json
from dataclasses import dataclass
from typing import Any

from runyard_dev.template.cloudformation import Resolver

_QUEUE_ATTRIBUTES = ("VisibilityTimeout", "MessageRetentionPeriod", "DelaySeconds")


@dataclass(frozen=True)
class Queue:
    """A queue as arguments of boto3's `create_queue`."""

    name: str
    attributes: dict[str, str]


@dataclass(frozen=True)
class EventSource:
    """An event source mapping: the source of a function, its filter, and the batch size."""

    function: str
    arn: str
    batch_size: int
    patterns: tuple[dict[str, Any], ...]
    """A record must match at least one pattern. Without patterns, every record matches."""

    @property
    def service(self) -> str:
        """`dynamodb` for the stream of a table, or `sqs`."""
        return self.arn.split(":")[2]

    @property
    def name(self) -> str:
        """Return the name of the table or of the queue."""
        resource = self.arn.split(":", 5)[5]
        return resource.split("/")[1] if self.service == "dynamodb" else resource

    def takes(self, record: dict[str, Any]) -> bool:
        """Return whether the filter passes the record."""
        return not self.patterns or any(_matches(pattern, record) for pattern in self.patterns)


def _matches(pattern: dict[str, Any], value: Any) -> bool:
    """Return whether the value matches an EventBridge pattern. A list has the allowed values."""
    if not isinstance(value, dict):
        return False
    return all(
        _matches(expected, value.get(name))
        if isinstance(expected, dict)
        else value.get(name) in expected
        for name, expected in pattern.items()
    )


def queue(resolver: Resolver, logical_id: str, raw: dict[str, Any]) -> Queue:
    """Return the queue that the template declares."""
    properties = resolver.resolve(raw)
    attributes = {name: str(properties[name]) for name in _QUEUE_ATTRIBUTES if name in properties}
    if policy := properties.get("RedrivePolicy"):
        attributes["RedrivePolicy"] = json.dumps(policy)
    return Queue(resolver.name_of(logical_id), attributes)


def event_source(resolver: Resolver, raw: dict[str, Any]) -> EventSource:
    """Return the mapping that the template declares."""
    properties = resolver.resolve(raw)
    filters = properties.get("FilterCriteria", {}).get("Filters", [])
    return EventSource(
        function=properties["FunctionName"],
        arn=properties["EventSourceArn"],
        batch_size=int(properties.get("BatchSize", 10)),
        patterns=tuple(json.loads(one["Pattern"]) for one in filters),
    )
