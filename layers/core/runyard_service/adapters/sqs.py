"""The queue of deliveries (SQS): a message wakes one delivery, and holds nothing but its name.

How often and how long is not SQS's to decide: the record of the delivery says when its next attempt
is due, and a message is put off until then. A delivery that is given up is put aside in the
dead-letter queue.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from runyard_service.adapters.dynamodb.attributes import translate_errors
from runyard_service.domain.errors import StoreUnavailableError
from runyard_service.domain.webhooks import Delivery

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_BATCH_MESSAGES = 10
# SQS's own limit is 12 hours from the receipt on; the attempt itself has taken some of it.
MAX_POSTPONED_SECONDS = 12 * 3600 - 300


@dataclass(frozen=True)
class DeliveryMessage:
    """One round of a delivery, by name."""

    project_id: str
    webhook_id: str
    delivery_id: str
    round: int

    @classmethod
    def of(cls, delivery: Delivery) -> "DeliveryMessage":
        """The message that wakes the delivery."""
        return cls(delivery.project_id, delivery.webhook_id, delivery.id, delivery.round)

    @classmethod
    def from_text(cls, text: str) -> "DeliveryMessage":
        """The message of a body."""
        return cls(**json.loads(text))

    def text(self) -> str:
        """The message's body."""
        return json.dumps(asdict(self))


class DeliveryQueue:
    """The queue and its dead-letter queue, by their URLs."""

    def __init__(self, client: "SQSClient", url: str, dead_letter_url: str = "") -> None:
        self._client = client
        self._url = url
        self._dead_letter_url = dead_letter_url

    def send(self, deliveries: Sequence[Delivery]) -> None:
        """Wake the deliveries. Raises StoreUnavailableError where one of them was not taken."""
        for start in range(0, len(deliveries), _BATCH_MESSAGES):
            entries: list[Any] = [
                {"Id": str(place), "MessageBody": DeliveryMessage.of(delivery).text()}
                for place, delivery in enumerate(deliveries[start : start + _BATCH_MESSAGES])
            ]
            with translate_errors():
                answer: Mapping[str, Any] = self._client.send_message_batch(
                    QueueUrl=self._url, Entries=entries
                )
            if answer.get("Failed"):
                raise StoreUnavailableError("messages of a batch were not taken")

    def delay(self, receipt_handle: str, seconds: float) -> None:
        """Let the message that was received come again after so many seconds."""
        with translate_errors():
            self._client.change_message_visibility(
                QueueUrl=self._url,
                ReceiptHandle=receipt_handle,
                VisibilityTimeout=min(max(0, round(seconds)), MAX_POSTPONED_SECONDS),
            )

    def dead_letter(self, delivery: Delivery) -> None:
        """Put a delivery that is given up into the dead-letter queue."""
        with translate_errors():
            self._client.send_message(
                QueueUrl=self._dead_letter_url, MessageBody=DeliveryMessage.of(delivery).text()
            )
