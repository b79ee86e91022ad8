"""All stores of one installation, over one DynamoDB and one S3 client."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runyard.store.access_keys import AccessKeys
from runyard.store.definitions import Definitions
from runyard.store.dynamo import Table
from runyard.store.event_log import EventLog
from runyard.store.input_requests import InputRequests
from runyard.store.payloads import Payloads
from runyard.store.runs import Runs

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class Stores:
    """What is kept, by kind."""

    log: EventLog
    runs: Runs
    input_requests: InputRequests
    definitions: Definitions
    access_keys: AccessKeys

    @classmethod
    def create(
        cls,
        dynamodb: "DynamoDBClient",
        s3: "S3Client",
        *,
        events_table: str,
        records_table: str,
        bucket: str,
    ) -> "Stores":
        """The stores over these clients."""
        payloads = Payloads(s3, bucket)
        records = Table(dynamodb, records_table)
        return cls(
            log=EventLog(Table(dynamodb, events_table), payloads),
            runs=Runs(records, payloads),
            input_requests=InputRequests(records),
            definitions=Definitions(records),
            access_keys=AccessKeys(records),
        )
