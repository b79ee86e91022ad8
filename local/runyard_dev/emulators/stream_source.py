"""A table's stream as the source of a function's invocations."""

import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runyard_dev import provisioning
from runyard_dev.clients import client
from runyard_dev.errors import StreamMissingError
from runyard_dev.template.sources import EventSource
from runyard_service.adapters.stream_records import image_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodbstreams import DynamoDBStreamsClient


class StreamCheckpoints:
    """How far each shard has been read: a file, so that another start goes on from there."""

    def __init__(self, file: Path) -> None:
        """Read the file, if it is there."""
        self._file = file
        self._lock = threading.Lock()
        self._places: dict[str, str] = {}
        if file.exists():
            self._places = json.loads(file.read_text(encoding="utf-8"))

    def get(self, shard: str) -> str | None:
        """The sequence number of the last record that is done with."""
        return self._places.get(shard)

    def set(self, shard: str, sequence_number: str) -> None:
        """Everything up to this record is done with."""
        with self._lock:
            self._places[shard] = sequence_number
            new = self._file.with_suffix(".new")
            new.write_text(json.dumps(self._places), encoding="utf-8")
            os.replace(new, self._file)  # Whole or not at all, whenever the process ends.


class StreamSource:
    """All shards of one table's newest stream, read in turns."""

    def __init__(
        self, mapping: EventSource, environment: Mapping[str, str], places: StreamCheckpoints
    ) -> None:
        """Connect lazily."""
        self._mapping = mapping
        self._environment = environment
        self._places = places
        self._dynamodb: DynamoDBClient = client("dynamodb", environment)
        self._streams: DynamoDBStreamsClient = client("dynamodbstreams", environment)
        self._stream_arn = ""

    def poll_once(self) -> bool:
        """Read on in every shard, and give what is there to the function; whether there was any."""
        if not self._stream_arn:
            found = self._dynamodb.describe_table(TableName=self._mapping.name)["Table"]
            if "LatestStreamArn" not in found:
                raise StreamMissingError(f"{self._mapping.name} has no stream")
            self._stream_arn = found["LatestStreamArn"]
        stream = self._streams.describe_stream(StreamArn=self._stream_arn)["StreamDescription"]
        readings = [self._read(shard["ShardId"]) for shard in stream["Shards"]]
        return any(readings)

    def _read(self, shard_id: str) -> bool:
        shard = f"{self._stream_arn}/{shard_id}"
        records: list[Any] = self._streams.get_records(
            ShardIterator=self._iterator(shard_id, self._places.get(shard)), Limit=1000
        )["Records"]
        if not records:
            return False
        failed = self._invoke([record for record in records if self._mapping.takes(record)])
        numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
        done = numbers if failed is None else numbers[: numbers.index(failed)]
        if done:
            self._places.set(shard, done[-1])
        return failed is None

    def _iterator(self, shard_id: str, place: str | None) -> str:
        """Where to read on: behind the place, or at the oldest record that there is."""
        if place is not None:
            try:
                return self._streams.get_shard_iterator(
                    StreamArn=self._stream_arn,
                    ShardId=shard_id,
                    ShardIteratorType="AFTER_SEQUENCE_NUMBER",
                    SequenceNumber=place,
                )["ShardIterator"]
            except self._streams.exceptions.TrimmedDataAccessException:
                pass  # Nobody has read for a day: the records behind the place are gone too.
        return self._streams.get_shard_iterator(
            StreamArn=self._stream_arn, ShardId=shard_id, ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]

    def _invoke(self, records: list[Any]) -> str | None:
        """Invoke the function with the records; the first one that must come again, if there is."""
        size = self._mapping.batch_size
        for start in range(0, len(records), size):
            payload = {
                "Records": [self._record(record) for record in records[start : start + size]]
            }
            answer = provisioning.invoke(self._environment, self._mapping.function, payload)
            failures = (answer or {}).get("batchItemFailures", [])
            if failures:
                # Lambda goes on from the lowest one.
                failed = {failure["itemIdentifier"] for failure in failures}
                numbers = [str(record["dynamodb"]["SequenceNumber"]) for record in records]
                return next(number for number in numbers if number in failed)
        return None

    def _record(self, record: Any) -> dict[str, Any]:
        """The record as Lambda gives it: times are seconds, as a number, and bytes are base64."""
        change = dict(record["dynamodb"])
        for name in ("Keys", "NewImage", "OldImage"):
            if name in change:
                change[name] = image_of(change[name])
        if created := change.pop("ApproximateCreationDateTime", None):
            change["ApproximateCreationDateTime"] = created.timestamp()
        region = self._environment["AWS_REGION"]
        return {
            **record,
            "awsRegion": region,
            "dynamodb": change,
            "eventSourceARN": self._stream_arn,
        }
