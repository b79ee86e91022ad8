"""A queue as the source of a function's invocations."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from runyard_dev import provisioning
from runyard_dev.clients import client
from runyard_dev.template.sources import EventSource

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class QueueSource:
    """A queue. Several threads can poll it at the same time."""

    def __init__(self, mapping: EventSource, environment: Mapping[str, str]) -> None:
        """Create the clients, which connect at their first call."""
        self._mapping = mapping
        self._environment = environment
        self._sqs: SQSClient = client("sqs", environment)

    def poll_once(self) -> bool:
        """Receive once and invoke the function with the messages. Return whether there were any."""
        url = self._sqs.get_queue_url(QueueName=self._mapping.name)["QueueUrl"]
        messages: list[Any] = self._sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=min(10, self._mapping.batch_size),
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
        ).get("Messages", [])
        if not messages:
            return False
        # A function that fails as a whole raises here, and the messages come again.
        answer = provisioning.invoke(
            self._environment,
            self._mapping.function,
            {"Records": list(map(self._record, messages))},
        )
        failed = {one["itemIdentifier"] for one in (answer or {}).get("batchItemFailures", [])}
        for message in messages:
            if message["MessageId"] not in failed:
                self._sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return True

    def _record(self, message: Any) -> dict[str, Any]:
        """Return the message in the form of Lambda's payload."""
        return {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": message["Attributes"],
            "messageAttributes": message.get("MessageAttributes", {}),
            "md5OfBody": message["MD5OfBody"],
            "eventSource": "aws:sqs",
            "eventSourceARN": self._mapping.arn,
            "awsRegion": self._environment["AWS_REGION"],
        }
