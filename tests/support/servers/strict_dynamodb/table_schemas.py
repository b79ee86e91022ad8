"""The key schemas of tables, read from the emulator once per process and table."""

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_schemas: dict[tuple[str, str], "TableSchema"] = {}


@dataclass(frozen=True)
class TableSchema:
    """Key attributes as (partition key, sort key or None), for the table and for each index."""

    key: tuple[str, str | None]
    indexes: dict[str, tuple[str, str | None]]
    types: dict[str, str]
    """The type of each key attribute: S, N or B."""
    index_keys: dict[str, bool]
    """The key attributes of the indexes; true for partition keys."""
    projected: dict[str, frozenset[str] | None]
    """The attributes of an index; None if the index has all attributes."""

    def key_of(self, index: str | None) -> tuple[str, str | None]:
        """Return the key attributes of the table, or of an index."""
        return self.indexes[index] if index else self.key


def schema_of(url: str, table: str) -> TableSchema | None:
    """Return the schema, or None if the table does not exist (yet)."""
    if (url, table) not in _schemas:
        description = _describe(url, table)
        if description is None:
            return None
        _schemas[url, table] = _parse(description)
    return _schemas[url, table]


def _describe(url: str, table: str) -> dict[str, Any] | None:
    headers = {
        "X-Amz-Target": "DynamoDB_20120810.DescribeTable",
        "Content-Type": "application/x-amz-json-1.0",
        # The emulators take the region from here, and do not check the signature.
        "X-Amz-Date": "20260101T000000Z",
        "Authorization": "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/"
        "aws4_request, SignedHeaders=host, Signature=0",
    }
    body = json.dumps({"TableName": table}).encode()
    try:
        with _opener.open(urllib.request.Request(url, body, headers), timeout=10) as response:
            description: dict[str, Any] = json.load(response)["Table"]
            return description
    except urllib.error.HTTPError as error:
        with error:
            text = error.read().decode()
        if "ResourceNotFoundException" in text:
            return None
        raise AssertionError(f"the strict rules cannot read the table {table}: {text}") from error


def _parse(description: dict[str, Any]) -> TableSchema:
    key = _key(description)
    indexes = [
        *description.get("GlobalSecondaryIndexes", ()),
        *description.get("LocalSecondaryIndexes", ()),
    ]
    return TableSchema(
        key=key,
        indexes={index["IndexName"]: _key(index) for index in indexes},
        types={
            attribute["AttributeName"]: attribute["AttributeType"]
            for attribute in description["AttributeDefinitions"]
        },
        # The sort key's limit is the smaller one, for an attribute that is both.
        index_keys={
            part["AttributeName"]: part["KeyType"] == "HASH"
            for kind in ("HASH", "RANGE")
            for index in indexes
            for part in index["KeySchema"]
            if part["KeyType"] == kind
        },
        projected={index["IndexName"]: _projected(index, key) for index in indexes},
    )


def _key(owner: dict[str, Any]) -> tuple[str, str | None]:
    names = {part["KeyType"]: part["AttributeName"] for part in owner["KeySchema"]}
    return names["HASH"], names.get("RANGE")


def _projected(index: dict[str, Any], key: tuple[str, str | None]) -> frozenset[str] | None:
    projection = index["Projection"]
    if projection["ProjectionType"] == "ALL":
        return None
    names = {*key, *_key(index), *projection.get("NonKeyAttributes", ())}
    return frozenset(name for name in names if name)
