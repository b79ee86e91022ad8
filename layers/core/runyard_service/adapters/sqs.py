"""The queue of webhook deliveries (SQS). A message triggers a delivery, and contains only its ids.

SQS does not decide the number or the times of attempts. The record of the delivery says when its
next attempt is due. A pause of at most MAX_DELAY_SECONDS is the delay of a new message. For a
longer pause there is no message, and the sweep sends one when the pause is over. A message that is
hidden instead would be in flight, and SQS stops a queue with 120,000 messages in flight. A delivery
without further attempts goes to the dead-letter queue.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

from runyard_service.adapters.dynamodb.attributes import translate_errors
from runyard_service.domain.errors import StoreUnavailableError
from runyard_service.domain.webhooks import Delivery

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_BATCH_MESSAGES = 10
# How long other readers do not see a message of the dead-letter queue, in seconds.
_HIDDEN_SECONDS = 300
# The longest DelaySeconds of SQS.
MAX_DELAY_SECONDS = 900


@dataclass(frozen=True)
class DeliveryMessage:
    """The ids of a delivery, and the number of its round."""

    project_id: str
    webhook_id: str
    delivery_id: str
    round: int

    @classmethod
    def of(cls, delivery: Delivery) -> "DeliveryMessage":
        """Return the message that triggers the delivery."""
        return cls(delivery.project_id, delivery.webhook_id, delivery.id, delivery.round)

    @classmethod
    def from_text(cls, text: str) -> "DeliveryMessage":
        """Return the message of an SQS message body."""
        return cls(**json.loads(text))

    def text(self) -> str:
        """Return the SQS message body."""
        return json.dumps(asdict(self))


class DeadLetterQueue:
    """A dead-letter queue, by its URL. An operator reads it; no function does."""

    def __init__(self, client: "SQSClient", url: str) -> None:
        self._client = client
        self._url = url
        self._hidden: set[str] = set()

    def send(self, text: str) -> None:
        """Send a message."""
        with translate_errors():
            self._client.send_message(QueueUrl=self._url, MessageBody=text)

    def messages(self) -> Iterator[tuple[str, str]]:
        """Yield the body and the receipt handle of each message once.

        A message is hidden from other readers until the last one is read. Those that the caller
        does not delete are then visible again.
        """
        try:
            while found := self._receive():
                yield from found
        finally:
            while self._hidden:
                self._show(self._hidden.pop())

    def _receive(self) -> list[tuple[str, str]]:
        with translate_errors():
            response = self._client.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=_BATCH_MESSAGES,
                VisibilityTimeout=_HIDDEN_SECONDS,
                WaitTimeSeconds=1,  # Ask every server of SQS.
            )
        found = [(each["Body"], each["ReceiptHandle"]) for each in response.get("Messages", ())]
        self._hidden.update(receipt for _, receipt in found)
        return found

    def _show(self, receipt: str) -> None:
        with translate_errors():
            self._client.change_message_visibility(
                QueueUrl=self._url, ReceiptHandle=receipt, VisibilityTimeout=0
            )

    def delete(self, receipt: str) -> None:
        """Delete a message by its receipt handle."""
        with translate_errors():
            self._client.delete_message(QueueUrl=self._url, ReceiptHandle=receipt)
        self._hidden.discard(receipt)


class DeliveryQueue:
    """The queue and its dead-letter queue, by their URLs."""

    def __init__(self, client: "SQSClient", url: str, dead_letter_url: str = "") -> None:
        self._client = client
        self._url = url
        self.dead_letters = DeadLetterQueue(client, dead_letter_url)

    def send(self, deliveries: Sequence[Delivery]) -> None:
        """Trigger the deliveries, each after its pause of at most MAX_DELAY_SECONDS.

        Raises StoreUnavailableError if SQS rejects a message.
        """
        for start in range(0, len(deliveries), _BATCH_MESSAGES):
            entries: list[Any] = [
                {
                    "Id": str(index),
                    "MessageBody": DeliveryMessage.of(delivery).text(),
                    "DelaySeconds": min(ceil(delivery.seconds_left()), MAX_DELAY_SECONDS),
                }
                for index, delivery in enumerate(deliveries[start : start + _BATCH_MESSAGES])
            ]
            with translate_errors():
                response: Mapping[str, Any] = self._client.send_message_batch(
                    QueueUrl=self._url, Entries=entries
                )
            if response.get("Failed"):
                raise StoreUnavailableError("messages of a batch were not accepted")

    def dead_letter(self, delivery: Delivery) -> None:
        """Send a delivery without further attempts to the dead-letter queue."""
        self.dead_letters.send(DeliveryMessage.of(delivery).text())
