"""Build requests that break a rule of DynamoDB, in the format of boto3's client."""

from dataclasses import dataclass, field
from typing import Any

from runyard_service.adapters.dynamodb import keys

# The tests replace it with the name of the records table.
RECORDS = "records"
INDEX = keys.RUNS_BY_PROJECT_INDEX
DATA_TYPES = "One or more parameter values were invalid: "
EMPTY = (
    "One or more parameter values are not valid. The AttributeValue for a key attribute cannot "
    "contain an empty string value. Key: "
)
PARTITION_KEY = f"{DATA_TYPES}Size of hashkey has exceeded the maximum size limit of2048 bytes"
SORT_KEY = (
    f"{DATA_TYPES}Aggregated size of all range keys has exceeded the size limit of 1024 bytes"
)


@dataclass(frozen=True)
class BrokenRule:
    """A request of boto3's client, and a part of the error that DynamoDB returns for it."""

    name: str
    operation: str
    request: dict[str, Any]
    message: str
    rule: str = ""
    """The rule of ours that rejects it; empty if the emulator rejects it itself."""
    code: str = "ValidationException"
    reasons: list[str] = field(default_factory=list)


def s(text: str) -> dict[str, str]:
    """Return a string as an attribute value."""
    return {"S": text}


def key(sk: str = "b", pk: str = "a") -> dict[str, Any]:
    """Return a key of the records table."""
    return {"pk": s(pk), "sk": s(sk)}


def put_request(**attributes: Any) -> dict[str, Any]:
    """Return a PutItem request for the records table."""
    return {"TableName": RECORDS, "Item": {**key(), **attributes}}


def update(expression: str, names: dict[str, str] | None = None, **values: Any) -> dict[str, Any]:
    """Return an UpdateItem request for the records table."""
    call: dict[str, Any] = {
        "TableName": RECORDS,
        "Key": key(),
        "UpdateExpression": expression,
    }
    if names:
        call["ExpressionAttributeNames"] = names
    if values:
        call["ExpressionAttributeValues"] = {f":{name}": value for name, value in values.items()}
    return call


def query(text: str, *, options: dict[str, Any] | None = None, **values: Any) -> dict[str, Any]:
    """Return a Query request for the records table."""
    return {
        "TableName": RECORDS,
        "KeyConditionExpression": text,
        "ExpressionAttributeValues": {f":{name}": value for name, value in values.items()},
        **(options or {}),
    }


def condition(text: str, **values: Any) -> dict[str, Any]:
    """Return a conditional PutItem request for the records table."""
    return {
        **put_request(),
        "ConditionExpression": text,
        "ExpressionAttributeValues": {f":{name}": value for name, value in values.items()},
    }


def transaction(*entries: dict[str, Any]) -> dict[str, Any]:
    """Return a TransactWriteItems request."""
    return {"TransactItems": list(entries)}


def batch(*entries: dict[str, Any]) -> dict[str, Any]:
    """Return a BatchWriteItem request."""
    return {"RequestItems": {RECORDS: list(entries)}}


def delete(sk: str) -> dict[str, Any]:
    """Return a deletion in a transaction."""
    return {"Delete": {"TableName": RECORDS, "Key": key(sk)}}


def nested(levels: int) -> dict[str, Any]:
    """Return lists in lists."""
    return {"L": [nested(levels - 1)]} if levels else s("x")
