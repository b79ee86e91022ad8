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
    """The position of each shard, stored in a file, so that a new start continues from there."""

    def __init__(self, file: Path) -> None:
        """Read the file, if it exists."""
        self._file = file
        self._lock = threading.Lock()
        self._positions: dict[str, str] = {}
        if file.exists():
            self._positions = json.loads(file.read_text(encoding="utf-8"))

    def get(self, shard: str) -> str | None:
        """Return the sequence number of the last processed record."""
        return self._positions.get(shard)

    def set(self, shard: str, sequence_number: str) -> None:
        """Save that all records up to this one are processed."""
        with self._lock:
            self._positions[shard] = sequence_number
            new = self._file.with_suffix(".new")
            new.write_text(json.dumps(self._positions), encoding="utf-8")
            os.replace(new, self._file)  # Atomic: the process can end at any time.


class StreamSource:
    """All shards of the newest stream of a table. One thread reads them in turn."""

    def __init__(
        self, mapping: EventSource, environment: Mapping[str, str], checkpoints: StreamCheckpoints
    ) -> None:
        """Create the clients, which connect at their first call."""
        self._mapping = mapping
        self._environment = environment
        self._checkpoints = checkpoints
        self._dynamodb: DynamoDBClient = client("dynamodb", environment)
        self._streams: DynamoDBStreamsClient = client("dynamodbstreams", environment)
        self._stream_arn = ""

    def poll_once(self) -> bool:
        """Read every shard and invoke the function; return whether there were records."""
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
            ShardIterator=self._iterator(shard_id, self._checkpoints.get(shard)), Limit=1000
        )["Records"]
        if not records:
            return False
        failed = self._invoke([record for record in records if self._mapping.takes(record)])
        numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
        done = numbers if failed is None else numbers[: numbers.index(failed)]
        if done:
            self._checkpoints.set(shard, done[-1])
        return failed is None

    def _iterator(self, shard_id: str, position: str | None) -> str:
        """Return an iterator after the position, or at the oldest record."""
        if position is not None:
            try:
                return self._streams.get_shard_iterator(
                    StreamArn=self._stream_arn,
                    ShardId=shard_id,
                    ShardIteratorType="AFTER_SEQUENCE_NUMBER",
                    SequenceNumber=position,
                )["ShardIterator"]
            except self._streams.exceptions.TrimmedDataAccessException:
                pass  # The position is older than a day: read from the oldest record.
        return self._streams.get_shard_iterator(
            StreamArn=self._stream_arn, ShardId=shard_id, ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]

    def _invoke(self, records: list[Any]) -> str | None:
        """Invoke the function with the records. Return the first record that failed, or None."""
        size = self._mapping.batch_size
        for start in range(0, len(records), size):
            payload = {
                "Records": [self._record(record) for record in records[start : start + size]]
            }
            answer = provisioning.invoke(self._environment, self._mapping.function, payload)
            failures = (answer or {}).get("batchItemFailures", [])
            if failures:
                # Lambda continues from the first failed record.
                failed = {failure["itemIdentifier"] for failure in failures}
                numbers = [str(record["dynamodb"]["SequenceNumber"]) for record in records]
                return next(number for number in numbers if number in failed)
        return None

    def _record(self, record: Any) -> dict[str, Any]:
        """Return the record as Lambda's payload has it: times in seconds, bytes in base64."""
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
