"""The bytes of an ended run that are stored in DynamoDB and billed monthly.

An item is as large as its names and values; DynamoDB adds 100 bytes to each item for its own index,
and as many to each entry of an index, which here has the keys alone.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from runyard_dev.dev_stack import DevStack
from runyard_service.adapters.dynamodb import keys
from runyard_service.adapters.dynamodb.attributes import to_attributes

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_AROUND_BYTES = 100


def stored_bytes(stack: DevStack, run_id: str) -> int:
    """All that has the run's id for its partition: its log, and its records with their indexes."""
    dynamodb: DynamoDBClient = stack.client("dynamodb")
    return sum(
        size_in(items_of(dynamodb, table, name, value), index_keys(dynamodb, table))
        for table, name, value in (
            (stack.environment["EVENTS_TABLE"], "run_id", run_id),
            (stack.environment["RECORDS_TABLE"], "pk", str(keys.run(run_id)["pk"])),
        )
    )


def items_of(
    dynamodb: "DynamoDBClient", table: str, name: str, value: str
) -> Iterable[Mapping[str, Any]]:
    """The items of one partition, as DynamoDB's attributes."""
    pages = dynamodb.get_paginator("query").paginate(
        TableName=table,
        KeyConditionExpression="#name = :value",
        ExpressionAttributeNames={"#name": name},
        ExpressionAttributeValues=to_attributes({":value": value}),
    )
    return (item for page in pages for item in page["Items"])


def index_keys(dynamodb: "DynamoDBClient", table: str) -> list[set[str]]:
    """For the table, and for each of its indexes, the attributes that are in its keys."""
    description = dynamodb.describe_table(TableName=table)["Table"]
    own = {key["AttributeName"] for key in description["KeySchema"]}
    indexes = description.get("GlobalSecondaryIndexes", [])
    assert all(index["Projection"]["ProjectionType"] == "KEYS_ONLY" for index in indexes)
    return [own | {key["AttributeName"] for key in index["KeySchema"]} for index in indexes]


def size_in(items: Iterable[Mapping[str, Any]], indexes: Iterable[set[str]]) -> int:
    """The bytes of the items, and of their entries in the indexes that have all their keys."""
    indexes, total = list(indexes), 0
    for item in items:
        total += _item_bytes(item)
        total += sum(
            _item_bytes({name: item[name] for name in names})
            for names in indexes
            if names <= item.keys()
        )
    return total


def _item_bytes(item: Mapping[str, Any]) -> int:
    return _AROUND_BYTES + sum(len(name.encode()) + value_bytes(item[name]) for name in item)


def value_bytes(attribute: Mapping[str, Any]) -> int:
    """The size of an attribute's value, by DynamoDB's rules.

    A number takes a byte for two digits and one more, a list or a map 3 bytes and one for each of
    its values.
    """
    ((kind, value),) = attribute.items()
    match kind:
        case "S":
            return len(value.encode())
        case "B":
            return len(bytes(value))
        case "N":
            digits = value.lstrip("-").replace(".", "").strip("0")
            return (len(digits) + 1) // 2 + 1
        case "L":
            return 3 + sum(1 + value_bytes(each) for each in value)
        case "M":
            return 3 + sum(
                1 + len(name.encode()) + value_bytes(each) for name, each in value.items()
            )
        case _:
            return 1  # true, false, null
