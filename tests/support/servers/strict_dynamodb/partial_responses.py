"""Responses with only a part of what was requested, as from a busy partition or after 1 MB."""

import json
from typing import Any

from botocore.awsrequest import AWSResponse
from botocore.httpsession import URLLib3Session

from tests.support.servers.strict_dynamodb.http_exchange import DynamoDbCall


def leave_unprocessed(call: DynamoDbCall) -> AWSResponse:
    """Process the first half of a batch, rounded down; return the rest as unprocessed."""
    requested = call.body["RequestItems"]
    done: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for table, entries in requested.items():
        is_read = isinstance(entries, dict)
        listed = entries["Keys"] if is_read else entries
        middle = len(listed) // 2
        for target, some in ((done, listed[:middle]), (rest, listed[middle:])):
            if some:
                target[table] = {**entries, "Keys": some} if is_read else some
    content = send(call, {**call.body, "RequestItems": done}) if done else {"Responses": {}}
    name = "UnprocessedKeys" if call.operation == "BatchGetItem" else "UnprocessedItems"
    return call.respond(200, {**content, name: rest})


def shorten_page(call: DynamoDbCall) -> None:
    """End the page after half of the requested items, as DynamoDB does after 1 MB."""
    limit = call.body.get("Limit", 4)
    call.replace_body({**call.body, "Limit": max(1, limit // 2)})


def send(call: DynamoDbCall, body: dict[str, Any]) -> dict[str, Any]:
    """Return the emulator's response to this body; the call must be valid."""
    call.replace_body(body)
    session: Any = URLLib3Session()
    try:
        response = session.send(call.request)
        assert response.status_code == 200, response.text
        content: dict[str, Any] = json.loads(response.content)
    finally:
        session.close()
    return content
