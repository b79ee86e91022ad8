"""Batches of a table's stream that Lambda no longer retries, from their dead-letter queue.

A message contains the position of the batch in the stream, not its records. The stream retains a
record for 24 hours (AWS, "Change data capture for DynamoDB Streams").
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from runyard_service.adapters.dynamodb.attributes import translate_errors
from runyard_service.adapters.stream_records import image_of
from runyard_service.domain.clock import now, parse
from runyard_service.domain.errors import RunyardError

if TYPE_CHECKING:
    from mypy_boto3_dynamodbstreams import DynamoDBStreamsClient

STREAM_RETENTION = timedelta(hours=24)
# DynamoDB Streams can return an empty page before the next records.
_MAX_EMPTY_PAGES = 100


class RecordsExpiredError(RunyardError):
    """The stream does not have the records of the batch any more."""

    def __init__(self) -> None:
        super().__init__("the stream has removed the records")


@dataclass(frozen=True)
class FailedBatch:
    """The position of a batch: its shard, and the sequence numbers of the first and last record."""

    stream_arn: str
    shard_id: str
    first: str
    last: str
    records: int
    first_arrived_at: datetime
    reason: str

    @classmethod
    def from_text(cls, text: str) -> "FailedBatch":
        """Return the batch of Lambda's message ("Retain discarded records", AWS Lambda)."""
        message = json.loads(text)
        batch = message["DDBStreamBatchInfo"]
        return cls(
            stream_arn=batch["streamArn"],
            shard_id=batch["shardId"],
            first=batch["startSequenceNumber"],
            last=batch["endSequenceNumber"],
            records=batch["batchSize"],
            first_arrived_at=parse(batch["approximateArrivalOfFirstRecord"]),
            reason=message["requestContext"]["condition"],
        )

    @property
    def expires_at(self) -> datetime:
        """Return when the stream removes the first record."""
        return self.first_arrived_at + STREAM_RETENTION

    def is_expired(self) -> bool:
        """Return whether the stream has removed the first record by now."""
        return self.expires_at <= now()


def read_records(client: "DynamoDBStreamsClient", batch: FailedBatch) -> list[dict[str, Any]]:
    """Return the inserted items of the batch, as Lambda passes them to a function.

    Raise RecordsExpiredError if the stream does not have all of them.
    """
    errors = client.exceptions
    with translate_errors():
        try:
            found = _read(client, batch)
        except (errors.TrimmedDataAccessException, errors.ResourceNotFoundException) as error:
            raise RecordsExpiredError from error
    return [_payload(record) for record in found if record["eventName"] == "INSERT"]


def _read(client: "DynamoDBStreamsClient", batch: FailedBatch) -> list[Any]:
    iterator: str | None = client.get_shard_iterator(
        StreamArn=batch.stream_arn,
        ShardId=batch.shard_id,
        ShardIteratorType="AT_SEQUENCE_NUMBER",
        SequenceNumber=batch.first,
    )["ShardIterator"]
    found: list[Any] = []
    empty_pages = 0
    while iterator and empty_pages < _MAX_EMPTY_PAGES:
        page = client.get_records(ShardIterator=iterator)
        for record in page["Records"]:
            number = int(record["dynamodb"]["SequenceNumber"])
            if number <= int(batch.last):
                found.append(record)
            if number >= int(batch.last):
                return found
        empty_pages = 0 if page["Records"] else empty_pages + 1
        iterator = page.get("NextShardIterator")
    raise RecordsExpiredError


def _payload(record: Any) -> dict[str, Any]:
    change = record["dynamodb"]
    return {
        "eventName": record["eventName"],
        "dynamodb": {
            "NewImage": image_of(change.get("NewImage") or {}),
            "SequenceNumber": change["SequenceNumber"],
        },
    }
