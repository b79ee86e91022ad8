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
    """An event source mapping: what a function is given, and in which portions."""

    function: str
    arn: str
    batch_size: int
    patterns: tuple[dict[str, Any], ...]
    """A record must match one of them; with none, every record does."""

    @property
    def service(self) -> str:
        """`dynamodb`, whose stream is meant, or `sqs`."""
        return self.arn.split(":")[2]

    @property
    def name(self) -> str:
        """The name of the table or of the queue."""
        resource = self.arn.split(":", 5)[5]
        return resource.split("/")[1] if self.service == "dynamodb" else resource

    def takes(self, record: dict[str, Any]) -> bool:
        """Whether the function is to see the record."""
        return not self.patterns or any(_matches(pattern, record) for pattern in self.patterns)


def _matches(pattern: dict[str, Any], value: Any) -> bool:
    """EventBridge's patterns, as far as equality goes: a list holds the values that will do."""
    if not isinstance(value, dict):
        return False
    return all(
        _matches(expected, value.get(name))
        if isinstance(expected, dict)
        else value.get(name) in expected
        for name, expected in pattern.items()
    )


def queue(resolver: Resolver, logical_id: str, raw: dict[str, Any]) -> Queue:
    """The queue of the template."""
    properties = resolver.resolve(raw)
    attributes = {name: str(properties[name]) for name in _QUEUE_ATTRIBUTES if name in properties}
    if policy := properties.get("RedrivePolicy"):
        attributes["RedrivePolicy"] = json.dumps(policy)
    return Queue(resolver.name_of(logical_id), attributes)


def event_source(resolver: Resolver, raw: dict[str, Any]) -> EventSource:
    """The mapping of the template."""
    properties = resolver.resolve(raw)
    filters = properties.get("FilterCriteria", {}).get("Filters", [])
    return EventSource(
        function=properties["FunctionName"],
        arn=properties["EventSourceArn"],
        batch_size=int(properties.get("BatchSize", 10)),
        patterns=tuple(json.loads(one["Pattern"]) for one in filters),
    )
