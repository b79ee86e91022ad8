"""Read the records of a batch that Lambda no longer retries, where DynamoDB's emulator differs."""

from collections.abc import Callable
from typing import Any

import pytest

from runyard_dev.clients import client
from runyard_dev.stack_environment import DUMMY_CREDENTIALS
from runyard_service.adapters.failed_batches import FailedBatch, RecordsExpiredError, read_records
from runyard_service.domain.clock import now
from tests.support.servers.loopback import Exchange, LoopbackServer, Received

BATCH = FailedBatch("arn:aws:dynamodb:table/t/stream/s", "shardId-1", "100", "300", 2, now(), "")


def read_from(answer: Callable[[str], tuple[int, Any]]) -> list[dict[str, Any]]:
    """Read BATCH from a server that answers each operation of DynamoDB Streams."""

    def respond(received: Received, exchange: Exchange) -> None:
        exchange.send_json(*answer(received.headers["x-amz-target"].partition(".")[2]))

    with LoopbackServer(respond) as server:
        environment = {
            **DUMMY_CREDENTIALS,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL_DYNAMODB": server.url,
        }
        return read_records(client("dynamodbstreams", environment), BATCH)


@pytest.mark.parametrize("code", ["TrimmedDataAccessException", "ResourceNotFoundException"])
@pytest.mark.parametrize("operation", ["GetShardIterator", "GetRecords"])
def test_records_that_the_stream_has_removed_are_reported(operation: str, code: str) -> None:
    def answer(name: str) -> tuple[int, Any]:
        if name == operation:
            return 400, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}"}
        return 200, {"ShardIterator": "first"}

    with pytest.raises(RecordsExpiredError, match="removed the records"):
        read_from(answer)


def test_pages_are_read_to_the_last_record_of_the_batch() -> None:
    """A page can be empty, and records after the batch are not its own."""
    pages: list[list[tuple[str, str]]] = [
        [],
        [("100", "INSERT"), ("200", "REMOVE")],
        [("300", "INSERT"), ("400", "INSERT")],
    ]

    def answer(name: str) -> tuple[int, Any]:
        if name == "GetShardIterator":
            return 200, {"ShardIterator": "first"}
        records = [
            {"eventName": kind, "dynamodb": {"SequenceNumber": number, "NewImage": {}}}
            for number, kind in pages.pop(0)
        ]
        return 200, {"Records": records, "NextShardIterator": "next"}

    found = read_from(answer)
    assert [record["dynamodb"]["SequenceNumber"] for record in found] == ["100", "300"]
    assert pages == []
