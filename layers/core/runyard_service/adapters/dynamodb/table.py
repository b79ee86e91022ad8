"""Read and write a DynamoDB table with plain Python values.

Every other module of `adapters/dynamodb/` reads and writes with `Table`.
"""

import random
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any

from runyard_service.adapters.dynamodb import expressions
from runyard_service.adapters.dynamodb.attributes import (
    Item,
    Key,
    TransactWriteItem,
    from_attributes,
    retry_transaction_conflicts,
    to_attributes,
    translate_errors,
)
from runyard_service.adapters.dynamodb.expressions import NO_CONDITIONS, Conditions
from runyard_service.domain.errors import StoreUnavailableError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Maximum numbers of keys in BatchGetItem and BatchWriteItem. Both may return unprocessed keys.
_BATCH_GET_ITEMS = 100
_BATCH_WRITE_ITEMS = 25
_BATCH_ATTEMPTS = 8
# Up to this number of keys, receiving them takes less time than another call that skips them.
_SKIP_INLINE_LIMIT = 300
_NAME = re.compile(r"#(\w+)")


class Table:
    """A DynamoDB table. Reads are strongly consistent by default; reads of an index cannot be."""

    def __init__(self, client: "DynamoDBClient", name: str) -> None:
        self.client = client
        self.name = name

    def get(self, key: Key) -> Item | None:
        """Return the item of this key, or None."""
        with translate_errors():
            response = self.client.get_item(
                TableName=self.name, Key=to_attributes(key), ConsistentRead=True
            )
        return from_attributes(response["Item"]) if "Item" in response else None

    def put(self, item: Mapping[str, Any], *, if_absent: bool = False) -> None:
        """Write an item. Raises ConditionFailedError if `if_absent` and the item exists."""
        call: Any = expressions.put_arguments(self.name, item, if_absent=if_absent)
        retry_transaction_conflicts(lambda: self.client.put_item(**call))

    def put_change(self, item: Mapping[str, Any], *, if_absent: bool = False) -> TransactWriteItem:
        """Return the same write as an entry of a transaction."""
        return {"Put": expressions.put_arguments(self.name, item, if_absent=if_absent)}

    def update(
        self, key: Key, fields: Mapping[str, Any], *, only_if: Conditions = NO_CONDITIONS
    ) -> None:
        """Set the attributes of an existing item; the value None removes an attribute.

        `only_if` states what the stored item must contain (see `expressions.Conditions`). Raises
        ConditionFailedError if the item is missing or does not match.
        """
        call: Any = expressions.update(self.name, key, fields, only_if)
        retry_transaction_conflicts(lambda: self.client.update_item(**call))

    def update_change(
        self, key: Key, fields: Mapping[str, Any], *, only_if: Conditions = NO_CONDITIONS
    ) -> TransactWriteItem:
        """Return the same update as an entry of a transaction."""
        return {"Update": expressions.update(self.name, key, fields, only_if)}

    def add_change(
        self,
        key: Key,
        amounts: Mapping[str, Decimal],
        initial: Mapping[str, Any],
        at_most: Mapping[str, Decimal],
    ) -> TransactWriteItem:
        """Return a transaction entry that adds to numbers exactly.

        A missing item starts with 0 and the `initial` fields. The entry requires that no stored
        number exceeds its limit in `at_most`.
        """
        return {"Update": expressions.add(self.name, key, amounts, initial, at_most)}

    def check_change(self, key: Key, *, only_if: Conditions) -> TransactWriteItem:
        """Return a transaction entry that changes nothing and requires an item that matches."""
        return {"ConditionCheck": expressions.check(self.name, key, only_if)}

    def absence_check(self, key: Key) -> TransactWriteItem:
        """Return a transaction entry that changes nothing and requires that the item is absent."""
        return {"ConditionCheck": expressions.absence(self.name, key)}

    def count_change(self, key: Key, name: str, by: int) -> TransactWriteItem:
        """Return a transaction entry that adds `by` to a number of an existing item."""
        return {"Update": expressions.count(self.name, key, name, by)}

    def delete_change(self, key: Key) -> TransactWriteItem:
        """Return a transaction entry that deletes the item of this key, if it exists."""
        return {"Delete": {"TableName": self.name, "Key": to_attributes(key)}}

    def delete(self, key: Key, *, only_if: Conditions = NO_CONDITIONS) -> None:
        """Delete an existing item.

        Raises ConditionFailedError if the item is missing or does not match `only_if`.
        """
        call: Any = expressions.delete(self.name, key, only_if)
        retry_transaction_conflicts(lambda: self.client.delete_item(**call))

    def delete_many(self, item_keys: Iterable[Key]) -> None:
        """Delete the existing items of these keys, in no order and not in a transaction.

        Raises StoreUnavailableError if DynamoDB does not process all keys after several attempts.
        """
        remaining = iter(item_keys)
        while batch_keys := list(islice(remaining, _BATCH_WRITE_ITEMS)):
            batch = [{"DeleteRequest": {"Key": to_attributes(key)}} for key in batch_keys]
            for attempt in range(_BATCH_ATTEMPTS):
                request: Any = {self.name: batch}
                with translate_errors():
                    response: Any = self.client.batch_write_item(RequestItems=request)
                batch = response.get("UnprocessedItems", {}).get(self.name, [])
                if not batch:
                    break
                time.sleep(random.uniform(0, 0.02 * 2**attempt))
            else:
                raise StoreUnavailableError("keys of a batch were not processed")

    def scan(self, attribute: str) -> Iterator[Any]:
        """Yield an attribute of every item. For verification of a store, never for a request."""
        call: dict[str, Any] = {
            "TableName": self.name,
            "ProjectionExpression": "#attribute",
            "ExpressionAttributeNames": {"#attribute": attribute},
            "ConsistentRead": True,
        }
        while True:
            with translate_errors():
                response = self.client.scan(**call)
            for attributes in response["Items"]:
                yield from from_attributes(attributes).values()
            if "LastEvaluatedKey" not in response:
                return
            call["ExclusiveStartKey"] = response["LastEvaluatedKey"]

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
        """Yield at most `limit` items that match a key condition; read pages on demand.

        Names in the condition have the form `#name` and must be key attributes.
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
            with translate_errors():
                response = self.client.query(**call)
            for attributes in response["Items"]:
                yield from_attributes(attributes)
            if remaining is not None:
                remaining -= len(response["Items"])
            if "LastEvaluatedKey" not in response or remaining == 0:
                return
            call["ExclusiveStartKey"] = response["LastEvaluatedKey"]

    def count(self, condition: str, values: Mapping[str, Any], index: str) -> int:
        """Return how many items of an index match a key condition, without receiving them."""
        return sum(
            response["Count"]
            for response in self._index_pages(condition, values, index, Select="COUNT")
        )

    def sort_keys(
        self,
        condition: str,
        values: Mapping[str, Any],
        index: str,
        *,
        descending: bool = False,
        skip: int = 0,
        limit: int | None = None,
    ) -> Iterator[str]:
        """Yield the sort keys of an index that match the key condition, after the first `skip`.

        The last name of the condition is the sort key, a string. DynamoDB reads and bills skipped
        keys. More than _SKIP_INLINE_LIMIT skipped keys are not received.
        """
        name = _NAME.findall(condition)[-1]
        options: dict[str, Any] = {"ScanIndexForward": not descending}
        if skip > _SKIP_INLINE_LIMIT:
            pages = self._index_pages(
                condition, values, index, remaining=skip, Select="COUNT", **options
            )
            start = [response.get("LastEvaluatedKey") for response in pages][-1]
            if start is None:
                return
            options["ExclusiveStartKey"], skip = start, 0
        remaining = None if limit is None else limit + skip
        for response in self._index_pages(condition, values, index, remaining=remaining, **options):
            # The deserializer would be too slow for tens of thousands of keys.
            yield from (attributes[name]["S"] for attributes in response["Items"][skip:])
            skip = max(0, skip - len(response["Items"]))

    def _index_pages(
        self,
        condition: str,
        values: Mapping[str, Any],
        index: str,
        *,
        remaining: int | None = None,
        **options: Any,
    ) -> Iterator[Mapping[str, Any]]:
        call: dict[str, Any] = {
            "TableName": self.name,
            "IndexName": index,
            "KeyConditionExpression": condition,
            "ExpressionAttributeNames": {f"#{name}": name for name in _NAME.findall(condition)},
            "ExpressionAttributeValues": to_attributes(values),
            **options,
        }
        while remaining is None or remaining > 0:
            if remaining is not None:
                call["Limit"] = remaining
            with translate_errors():
                response = self.client.query(**call)
            yield response
            if remaining is not None:
                remaining -= response["Count"]
            if "LastEvaluatedKey" not in response:
                return
            call["ExclusiveStartKey"] = response["LastEvaluatedKey"]

    def batch_get(self, item_keys: Sequence[Key], fields: Sequence[str] = ()) -> Iterator[Item]:
        """Yield the existing items of these keys, in no order; with `fields`, only these fields.

        Reads are strongly consistent. Raises StoreUnavailableError if DynamoDB does not return all
        of them after several attempts.
        """
        options: dict[str, Any] = {"ConsistentRead": True}
        if fields:
            options["ProjectionExpression"] = ", ".join(f"#{name}" for name in fields)
            options["ExpressionAttributeNames"] = {f"#{name}": name for name in fields}
        for start in range(0, len(item_keys), _BATCH_GET_ITEMS):
            batch = [to_attributes(key) for key in item_keys[start : start + _BATCH_GET_ITEMS]]
            for attempt in range(_BATCH_ATTEMPTS):
                request: Any = {self.name: {**options, "Keys": batch}}
                with translate_errors():
                    response: Any = self.client.batch_get_item(RequestItems=request)
                yield from map(from_attributes, response["Responses"].get(self.name, ()))
                batch = response.get("UnprocessedKeys", {}).get(self.name, {}).get("Keys", [])
                if not batch:
                    break
                # Keys are unprocessed above 16 MB in a response, or because of a hot partition.
                time.sleep(random.uniform(0, 0.02 * 2**attempt))
            else:
                raise StoreUnavailableError("keys of a batch were not processed")
