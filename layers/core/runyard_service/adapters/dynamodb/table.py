"""One DynamoDB table: plain Python values in and out.

Every other module of `store/` reads and writes through here.
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
    to_attributes,
    translate_errors,
)
from runyard_service.adapters.dynamodb.expressions import NO_CONDITIONS, Conditions
from runyard_service.domain.errors import StoreUnavailableError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# BatchGetItem and BatchWriteItem take so many keys, and may give back some of them unprocessed.
_BATCH_GET_ITEMS = 100
_BATCH_WRITE_ITEMS = 25
_BATCH_ATTEMPTS = 8
# Up to so many keys, sending them takes less time than another call that skips them.
_SKIP_INLINE_LIMIT = 300
_NAME = re.compile(r"#(\w+)")


class Table:
    """One table. Reads are strongly consistent unless asked otherwise."""

    def __init__(self, client: "DynamoDBClient", name: str) -> None:
        self.client = client
        self.name = name

    def get(self, key: Key) -> Item | None:
        """The item of this key, or None."""
        with translate_errors():
            answer = self.client.get_item(
                TableName=self.name, Key=to_attributes(key), ConsistentRead=True
            )
        return from_attributes(answer["Item"]) if "Item" in answer else None

    def put(self, item: Mapping[str, Any], *, if_absent: bool = False) -> None:
        """Put one item. Raises ConditionFailedError where `if_absent` and one is there."""
        call: Any = expressions.put_arguments(self.name, item, if_absent=if_absent)
        with translate_errors():
            self.client.put_item(**call)

    def put_change(self, item: Mapping[str, Any], *, if_absent: bool = False) -> TransactWriteItem:
        """The same put as a part of a transaction."""
        return {"Put": expressions.put_arguments(self.name, item, if_absent=if_absent)}

    def update(
        self, key: Key, fields: Mapping[str, Any], *, only_if: Conditions = NO_CONDITIONS
    ) -> None:
        """Set the attributes of an existing item; the value None removes an attribute.

        `only_if` states what the stored item must contain (see `expressions.Conditions`). Raises
        ConditionFailedError if the item is missing or does not match.
        """
        call: Any = expressions.update(self.name, key, fields, only_if)
        with translate_errors():
            self.client.update_item(**call)

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
        """Add to numbers, exactly; a missing item begins with 0 and the `initial` fields.

        Only where no number of `at_most` is above that before.
        """
        return {"Update": expressions.add(self.name, key, amounts, initial, at_most)}

    def check_change(self, key: Key, *, only_if: Conditions) -> TransactWriteItem:
        """Return a transaction entry that changes nothing and requires an item that matches."""
        return {"ConditionCheck": expressions.check(self.name, key, only_if)}

    def absence_check(self, key: Key) -> TransactWriteItem:
        """No change, but a part of a transaction: there is no such item."""
        return {"ConditionCheck": expressions.absence(self.name, key)}

    def count_change(self, key: Key, name: str, by: int) -> TransactWriteItem:
        """Add to a number of an item that is there."""
        return {"Update": expressions.count(self.name, key, name, by)}

    def delete_change(self, key: Key) -> TransactWriteItem:
        """Delete the item of this key, if there is one, as a part of a transaction."""
        return {"Delete": {"TableName": self.name, "Key": to_attributes(key)}}

    def delete(self, key: Key, *, only_if: Conditions = NO_CONDITIONS) -> None:
        """Delete an existing item.

        Raises ConditionFailedError if the item is missing or does not match `only_if`.
        """
        call: Any = expressions.delete(self.name, key, only_if)
        with translate_errors():
            self.client.delete_item(**call)

    def delete_many(self, places: Iterable[Key]) -> None:
        """Delete the items of these keys, those that are there, in no order and not all at once."""
        left = iter(places)
        while some := list(islice(left, _BATCH_WRITE_ITEMS)):
            batch = [{"DeleteRequest": {"Key": to_attributes(place)}} for place in some]
            for attempt in range(_BATCH_ATTEMPTS):
                request: Any = {self.name: batch}
                with translate_errors():
                    answer: Any = self.client.batch_write_item(RequestItems=request)
                batch = answer.get("UnprocessedItems", {}).get(self.name, [])
                if not batch:
                    break
                time.sleep(random.uniform(0, 0.02 * 2**attempt))
            else:
                raise StoreUnavailableError("keys of a batch were not processed")

    def scan(self, attribute: str) -> Iterator[Any]:
        """One attribute of every item there is: for proofs over a store, never for a request."""
        call: dict[str, Any] = {
            "TableName": self.name,
            "ProjectionExpression": "#attribute",
            "ExpressionAttributeNames": {"#attribute": attribute},
            "ConsistentRead": True,
        }
        while True:
            with translate_errors():
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
            with translate_errors():
                answer = self.client.query(**call)
            for attributes in answer["Items"]:
                yield from_attributes(attributes)
            if remaining is not None:
                remaining -= len(answer["Items"])
            if "LastEvaluatedKey" not in answer or remaining == 0:
                return
            call["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def count(self, condition: str, values: Mapping[str, Any], index: str) -> int:
        """How many items a key condition selects in an index; none of them is sent."""
        return sum(
            answer["Count"]
            for answer in self._index_pages(condition, values, index, Select="COUNT")
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
        """Sort keys of an index: those that the key condition selects, behind the first `skip`.

        The last name of the condition is the sort key, a string. What is skipped is read, and paid
        for; a long stretch of it is not sent.
        """
        name = _NAME.findall(condition)[-1]
        options: dict[str, Any] = {"ScanIndexForward": not descending}
        if skip > _SKIP_INLINE_LIMIT:
            pages = self._index_pages(
                condition, values, index, remaining=skip, Select="COUNT", **options
            )
            start = [answer.get("LastEvaluatedKey") for answer in pages][-1]
            if start is None:
                return
            options["ExclusiveStartKey"], skip = start, 0
        remaining = None if limit is None else limit + skip
        for answer in self._index_pages(condition, values, index, remaining=remaining, **options):
            # Tens of thousands of keys may pass: no time for the deserializer.
            yield from (attributes[name]["S"] for attributes in answer["Items"][skip:])
            skip = max(0, skip - len(answer["Items"]))

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
                answer = self.client.query(**call)
            yield answer
            if remaining is not None:
                remaining -= answer["Count"]
            if "LastEvaluatedKey" not in answer:
                return
            call["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def batch_get(self, places: Sequence[Key], fields: Sequence[str] = ()) -> Iterator[Item]:
        """The items of these keys, in no order; with `fields`, only those of them.

        Strongly consistent. Raises StoreUnavailableError where DynamoDB does not serve all of them
        after several attempts.
        """
        options: dict[str, Any] = {"ConsistentRead": True}
        if fields:
            options["ProjectionExpression"] = ", ".join(f"#{name}" for name in fields)
            options["ExpressionAttributeNames"] = {f"#{name}": name for name in fields}
        for start in range(0, len(places), _BATCH_GET_ITEMS):
            batch = [to_attributes(place) for place in places[start : start + _BATCH_GET_ITEMS]]
            for attempt in range(_BATCH_ATTEMPTS):
                request: Any = {self.name: {**options, "Keys": batch}}
                with translate_errors():
                    answer: Any = self.client.batch_get_item(RequestItems=request)
                yield from map(from_attributes, answer["Responses"].get(self.name, ()))
                batch = answer.get("UnprocessedKeys", {}).get(self.name, {}).get("Keys", [])
                if not batch:
                    break
                # What is left over is so for size (16 MB an answer) or for a hot partition.
                time.sleep(random.uniform(0, 0.02 * 2**attempt))
            else:
                raise StoreUnavailableError("keys of a batch were not processed")
