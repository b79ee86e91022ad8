"""Split a DynamoDB request into its parts: one per item, key list or query."""

import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.servers.strict_dynamodb.http_exchange import DynamoDbCall
from tests.support.servers.strict_dynamodb.table_schemas import TableSchema, schema_of

Value = Mapping[str, Any]
EXPRESSIONS = (
    *("KeyConditionExpression", "FilterExpression", "ConditionExpression"),
    *("UpdateExpression", "ProjectionExpression"),
)
_NAME = r"(#?\w+)"
_COMPARED = re.compile(rf"{_NAME}\s*(?:=|<=|>=|<|>)\s*(:\w+)")
_BETWEEN = re.compile(rf"{_NAME}\s+BETWEEN\s+(:\w+)\s+AND\s+(:\w+)", re.IGNORECASE)
_PREFIX = re.compile(rf"begins_with\s*\(\s*{_NAME}\s*,\s*(:\w+)")
_SET = re.compile(rf"{_NAME}\s*=\s*(?:if_not_exists\s*\([^,]+,\s*)?(:\w+)")


@dataclass(frozen=True)
class Part:
    """A part of a request; `position` is its index in a transaction."""

    operation: str
    content: Mapping[str, Any]
    schema: TableSchema | None
    position: int | None = None

    def expressions(self) -> Iterator[tuple[str, str]]:
        """Yield each expression with its parameter name."""
        for kind in EXPRESSIONS:
            if kind in self.content:
                yield kind, self.content[kind]

    def key_conditions(self) -> Iterator[tuple[str, Value]]:
        """Yield each attribute of the key condition with each value it is compared with."""
        text = self.content.get("KeyConditionExpression", "")
        for pattern in (_COMPARED, _BETWEEN, _PREFIX):
            for name, *values in pattern.findall(text):
                yield from ((self.attribute(name), self._value(value)) for value in values)

    def assigned(self) -> Iterator[tuple[str, Value]]:
        """Yield each attribute that the item or a SET clause writes, with its value."""
        yield from self.content.get("Item", {}).items()
        for name, value in _SET.findall(self.content.get("UpdateExpression", "")):
            yield self.attribute(name), self._value(value)

    def attribute(self, name: str) -> str:
        """Return the attribute of a name in an expression."""
        return str(self.content.get("ExpressionAttributeNames", {}).get(name, name))

    def _value(self, name: str) -> Value:
        value: Value = self.content.get("ExpressionAttributeValues", {}).get(name, {})
        return value


def parts_of(call: DynamoDbCall) -> Iterator[Part]:
    """Yield the parts of the call."""

    def part(table: str, content: Mapping[str, Any], position: int | None = None) -> Part:
        return Part(call.operation, content, schema_of(call.request.url, table), position)

    body = call.body
    if "TableName" in body:
        yield part(body["TableName"], body)
    for position, entry in enumerate(body.get("TransactItems", ())):
        for content in entry.values():
            yield part(content["TableName"], content, position)
    for table, requests in body.get("RequestItems", {}).items():
        if isinstance(requests, dict):
            yield part(table, requests)
            continue
        for entry in requests:
            for content in entry.values():
                yield part(table, content)


def size_in_bytes(value: Value) -> int:
    """Return the size of a key value: S and B; a number always fits."""
    if "S" in value:
        return len(value["S"].encode())
    if "B" in value:
        return len(b64decode(value["B"]))
    return 0
