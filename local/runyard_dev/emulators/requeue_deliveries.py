"""Send the messages of pending deliveries again, after the emulator of SQS has lost them.

On AWS a queue loses no message. The emulator loses all of them when its process ends.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from runyard_dev.clients import client
from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.dynamodb.attributes import from_attributes
from runyard_service.adapters.sqs import DeliveryQueue
from runyard_service.domain.webhooks import Delivery
from runyard_service.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def requeue_pending(environment: Mapping[str, str]) -> None:
    """Send a message for each pending delivery. Read the whole table to find them."""
    settings = Settings.from_environment(environment)
    if not settings.webhook_queue_url:
        return
    dynamodb: DynamoDBClient = client("dynamodb", environment)
    pages = dynamodb.get_paginator("scan").paginate(
        TableName=settings.records_table,
        FilterExpression="begins_with(pk, :deliveries) AND #state = :pending",
        ExpressionAttributeNames={"#state": "state"},
        ExpressionAttributeValues={
            ":deliveries": {"S": str(keys.webhook_delivery("", "")["pk"])},
            ":pending": {"S": "pending"},
        },
    )
    items: list[Any] = [from_attributes(item) for page in pages for item in page["Items"]]
    waiting = [Delivery.model_validate({**item, "attempts": ()}) for item in items]
    DeliveryQueue(client("sqs", environment), settings.webhook_queue_url).send(waiting)
