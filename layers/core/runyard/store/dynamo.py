"""A thin face on boto3's DynamoDB client: plain Python values in and out, errors translated once.

Every other module of `store/` speaks to DynamoDB through here.
"""

import random
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import BotoCoreError, ClientError

from runyard.domain.errors import RunyardError, StoreRefusedError, StoreUnavailableError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Key = Mapping[str, str | int]
Item = dict[str, Any]
# One entry of TransactWriteItems, as boto3's client takes it.
Change = dict[str, Any]

# Two transactions that touch the same item at the same moment: DynamoDB cancels one, and boto3 does
# not retry a canceled transaction by itself.
_TRANSACTION_ATTEMPTS = 6

# What no second attempt can mend: our own mistake, or the deployment's.
_REFUSALS = frozenset(
    {"ValidationException", "ResourceNotFoundException", "AccessDeniedException", "AccessDenied"}
    | {
        "NoSuchBucket",
        "NoSuchKey",
        "UnrecognizedClientException",
        "ItemCollectionSizeLimitExceeded",
    }
)
_NAME = re.compile(r"#(\w+)")

_serializer = TypeSerializer()
_deserializer = TypeDeserializer()


class ConditionFailedError(RunyardError):
    """A write's condition did not hold; `items` stood there, by their place in the call."""

    def __init__(self, items: Mapping[int, Item | None]) -> None:
        super().__init__("condition failed")
        self.items = items


def to_attributes(item: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values as DynamoDB's typed attributes; fields that are None are left out."""
    return {
        name: _serializer.serialize(_without_floats(value))
        for name, value in item.items()
        if value is not None
    }


def from_attributes(attributes: Mapping[str, Any]) -> Item:
    """DynamoDB's typed attributes as plain values."""
    return {name: _deserializer.deserialize(value) for name, value in attributes.items()}


def _without_floats(value: Any) -> Any:
    # DynamoDB's numbers are decimals; a float's shortest text is the number that was meant.
    if isinstance(value, float):
        return Decimal(str(value))
    if isinstance(value, Mapping):
        return {key: _without_floats(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_floats(inner) for inner in value]
    return value


@contextmanager
def translated() -> Iterator[None]:
    """Turn boto3's errors into Runyard's."""
    try:
        yield
    except ClientError as error:
        raise _translate(error) from error
    except BotoCoreError as error:
        raise StoreUnavailableError(type(error).__name__) from error


def _translate(error: ClientError) -> RunyardError:
    code = error.response["Error"]["Code"]
    if code == "ConditionalCheckFailedException":
        return ConditionFailedError({0: _old_item(error.response)})
    if code == "TransactionCanceledException":
        reasons: Any = error.response.get("CancellationReasons", [])
        failed = {
            place: _old_item(reason)
            for place, reason in enumerate(reasons)
            if reason.get("Code") == "ConditionalCheckFailed"
        }
        if failed:
            return ConditionFailedError(failed)
    return StoreRefusedError(code) if code in _REFUSALS else StoreUnavailableError(code)


def _old_item(holder: Mapping[str, Any]) -> Item | None:
    attributes = holder.get("Item")
    return from_attributes(attributes) if attributes else None


class Table:
    """One table. Reads are strongly consistent unless asked otherwise."""

    def __init__(self, client: "DynamoDBClient", name: str) -> None:
        self.client = client
        self.name = name

    def get(self, key: Key) -> Item | None:
        """The item of this key, or None."""
        with translated():
            answer = self.client.get_item(
                TableName=self.name, Key=to_attributes(key), ConsistentRead=True
            )
        return from_attributes(answer["Item"]) if "Item" in answer else None

    def put(self, item: Mapping[str, Any], *, if_absent: bool = False) -> None:
        """Put one item. Raises ConditionFailedError where `if_absent` and one is there."""
        with translated():
            self.client.put_item(**self._put(item, if_absent))

    def put_change(self, item: Mapping[str, Any], *, if_absent: bool = False) -> Change:
        """The same put as a part of a transaction."""
        return {"Put": self._put(item, if_absent)}

    def _put(self, item: Mapping[str, Any], if_absent: bool) -> Any:
        put: dict[str, Any] = {"TableName": self.name, "Item": to_attributes(item)}
        if if_absent:
            # The first key attribute stands in every item of the table.
            put["ConditionExpression"] = "attribute_not_exists(#key)"
            put["ExpressionAttributeNames"] = {"#key": next(iter(item))}
            put["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        return put

    def update(self, key: Key, fields: Mapping[str, Any], **conditions: Sequence[Any]) -> None:
        """Set the fields (None removes one) where every condition's field has one of its values."""
        with translated():
            self.client.update_item(**self._update(key, fields, conditions))

    def update_change(
        self, key: Key, fields: Mapping[str, Any], **conditions: Sequence[Any]
    ) -> Change:
        """The same update as a part of a transaction."""
        return {"Update": self._update(key, fields, conditions)}

    def _update(
        self, key: Key, fields: Mapping[str, Any], conditions: Mapping[str, Sequence[Any]]
    ) -> Any:
        names = {f"#{name}": name for name in (*fields, *conditions)}
        values = {f":{name}": value for name, value in fields.items() if value is not None}
        sets = ", ".join(f"#{name} = :{name}" for name in fields if fields[name] is not None)
        removes = ", ".join(f"#{name}" for name in fields if fields[name] is None)
        # An update would create a missing item: never meant here.
        tests = ["attribute_exists(#pk)"]
        names["#pk"] = next(iter(key))
        for name, wanted in conditions.items():
            places = [f":{name}_{number}" for number in range(len(wanted))]
            values.update(zip(places, wanted, strict=True))
            tests.append(f"#{name} IN ({', '.join(places)})")
        update: dict[str, Any] = {
            "TableName": self.name,
            "Key": to_attributes(key),
            "UpdateExpression": " ".join(
                f"{verb} {what}" for verb, what in (("SET", sets), ("REMOVE", removes)) if what
            ),
            "ConditionExpression": " AND ".join(tests),
            "ExpressionAttributeNames": names,
        }
        if values:
            update["ExpressionAttributeValues"] = to_attributes(values)
        return update

    def scan(self, attribute: str) -> Iterator[Any]:
        """One attribute of every item there is: for proofs over a store, never for a request."""
        call: dict[str, Any] = {
            "TableName": self.name,
            "ProjectionExpression": "#attribute",
            "ExpressionAttributeNames": {"#attribute": attribute},
            "ConsistentRead": True,
        }
        while True:
            with translated():
                answer = self.client.scan(**call)
            for attributes in answer["Items"]:
                yield from from_attributes(attributes).values()
            if "LastEvaluatedKey" not in answer:
                return
            call["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def query(
        self,
        condition: str,
        values: Mapping[str, Any],
        *,
        index: str | None = None,
        consistent: bool = True,
        descending: bool = False,
        limit: int | None = None,
    ) -> Iterator[Item]:
        """The items that a key condition selects, page by page as they are taken.

        Names in the condition are written `#name` and must be key attributes; `limit` ends it.
        """
        call: dict[str, Any] = {
            "TableName": self.name,
            "KeyConditionExpression": condition,
            "ExpressionAttributeNames": {f"#{name}": name for name in _NAME.findall(condition)},
            "ExpressionAttributeValues": to_attributes(values),
            "ScanIndexForward": not descending,
            "ConsistentRead": consistent and index is None,
        }
        if index is not None:
            call["IndexName"] = index
        remaining = limit
        while True:
            if remaining is not None:
                call["Limit"] = remaining
            with translated():
                answer = self.client.query(**call)
            for attributes in answer["Items"]:
                yield from_attributes(attributes)
            if remaining is not None:
                remaining -= len(answer["Items"])
            if "LastEvaluatedKey" not in answer or remaining == 0:
                return
            call["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def transact(client: "DynamoDBClient", changes: Sequence[Change]) -> None:
    """Make all changes or none.

    Raises ConditionFailedError where a condition did not hold, StoreUnavailableError where other
    transactions were in the way time and again.
    """
    for attempt in range(_TRANSACTION_ATTEMPTS):
        try:
            with translated():
                client.transact_write_items(TransactItems=changes)  # type: ignore[arg-type]
            return
        except StoreUnavailableError as error:
            if "TransactionCanceled" not in str(error) or attempt == _TRANSACTION_ATTEMPTS - 1:
                raise
            time.sleep(random.uniform(0, 0.02 * 2**attempt))
