"""Index entries that appear late: global secondary indexes are eventually consistent.

Entries of new and changed items are hidden. An entry that an update or a deletion removed
disappears at once here; in DynamoDB it may also stay for a moment.
"""

import json
import time
from collections.abc import Iterator
from typing import Any

from botocore.awsrequest import AWSResponse

from tests.support.servers.strict_dynamodb.http_exchange import DynamoDbCall
from tests.support.servers.strict_dynamodb.partial_responses import send
from tests.support.servers.strict_dynamodb.request_parts import parts_of
from tests.support.servers.strict_dynamodb.table_schemas import TableSchema


class LateIndex:
    """Remembers the writes of this process; `hidden` counts the entries that were left out."""

    def __init__(self, seconds: float) -> None:
        self.hidden = 0
        self._seconds = seconds
        self._written: dict[str, float] = {}

    def response_to(self, call: DynamoDbCall) -> AWSResponse | None:
        """Return the response to a query of an index; None for every other call."""
        if "IndexName" not in call.body:
            now = time.monotonic()
            self._written.update((key, now) for key in _written_keys(call))
            return None
        (part,) = parts_of(call)
        if part.schema is None or call.body.get("Select") == "COUNT":
            return None
        content = send(call, call.body)
        items = content["Items"]
        content["Items"] = [item for item in items if not self._is_late(part.schema, item)]
        self.hidden += len(items) - len(content["Items"])
        content["Count"] = len(content["Items"])
        return call.respond(200, content)

    def _is_late(self, schema: TableSchema, item: dict[str, Any]) -> bool:
        written = self._written.get(_key_text(schema, item))
        return written is not None and time.monotonic() - written < self._seconds


def _written_keys(call: DynamoDbCall) -> Iterator[str]:
    if call.operation in ("GetItem", "BatchGetItem", "Query", "Scan"):
        return
    for part in parts_of(call):
        written = part.content.get("Item") or part.content.get("Key")
        if written and part.schema:
            yield _key_text(part.schema, written)


def _key_text(schema: TableSchema, item: dict[str, Any]) -> str:
    return json.dumps([item.get(name) for name in schema.key if name])
